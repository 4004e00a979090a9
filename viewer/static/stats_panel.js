// @ts-check
/** "What is going on": rates and delays as drawn here, stages, losses and workers as the server counts them. */

import { Chart } from "./chart.js";
import { $, make, picture } from "./dom.js";
import { STAGES, sizeWords, words } from "./stats.js";

/** @typedef {import("./state.js").PageState} PageState */
/** @typedef {{fps: number, p50: number | null, p95: number | null}} Reading */
/** @typedef {{p50: number, p95: number}} Spread */
/** @typedef {{name: string, style: string, device: string, threads: number, fps: number, busy: number | null, rss_bytes: number, host: string}} Heartbeat */

const STAGE_WORDS = /** @type {{[stage: string]: string}} */ ({
  capture: "Camera to server",
  wait: "Waiting for a place",
  queue: "Queue",
  decode: "Decoding",
  paint: "Painting",
  encode: "Encoding",
  return: "Back to the screen",
});
const COUNTERS = ["captured", "painted", "dropped", "late", "failed", "in_flight"];
/** The field that tells a counter by cause. */
const CAUSES = /** @type {{[counter: string]: string}} */ ({ dropped: "drops", failed: "failures" });

export class Insight {
  #fps = new Chart(/** @type {HTMLCanvasElement} */ ($("chart-fps")), { floor: 10 });
  #delay = new Chart(/** @type {HTMLCanvasElement} */ ($("chart-delay")), { floor: 100 });
  #studio;

  /** @param {PageState} studio */
  constructor(studio) {
    this.#studio = studio;
  }

  /** Take in a second; draws only while the panel is open. @param {Reading} reading of the stream shown */
  tick(reading) {
    const stream = [...this.#studio.shown.values()][0];
    const report = this.#studio.stats?.streams?.find((/** @type {any} */ one) => one.stream === stream);
    this.#fps.add(stream ? reading.fps : null);
    this.#delay.add(reading.p50 ?? report?.ms?.delay?.p50 ?? null);
    if ($("insight").hidden) return;
    figure("figure-fps", stream ? reading.fps.toFixed(1) : "–");
    figure("figure-p50", words(reading.p50));
    figure("figure-p95", words(reading.p95));
    this.#fps.draw();
    this.#delay.draw();
    stages(report?.ms ?? {});
    counters(report);
    workers(this.#studio.stats?.workers ?? []);
  }
}

/** The unit is written smaller. @param {string} id @param {string} text */
function figure(id, text) {
  const [number, unit] = text.split(" ");
  $(id).replaceChildren(number, ...(unit ? [make("small", {}, ` ${unit}`)] : []));
}

/** @param {{[stage: string]: Spread}} times ms */
function stages(times) {
  const known = STAGES.filter((stage) => times[stage]);
  $("stage-bar").replaceChildren(...known.map((stage, index) => swatch(stage, index, times[stage].p50)));
  const rows = known.map((stage, index) =>
    make("tr", {}, make("th", { scope: "row" }, swatch(stage, index), STAGE_WORDS[stage]), make("td", {}, words(times[stage].p50)), make("td", {}, words(times[stage].p95))),
  );
  if (times.delay) rows.push(make("tr", { "data-total": true }, make("th", { scope: "row" }, "Glass to glass"), make("td", {}, words(times.delay.p50)), make("td", {}, words(times.delay.p95))));
  $("stages").querySelector("tbody")?.replaceChildren(...rows);
}

/** @param {string} stage @param {number} index @param {number} [share] */
function swatch(stage, index, share) {
  const made = make("i", { "data-stage": stage });
  made.style.setProperty("--tint", String(0.85 - index * 0.1));
  if (share !== undefined) made.style.setProperty("--share", String(share));
  return made;
}

/** @param {any} report one stream of the server's statistics */
function counters(report) {
  const cells = COUNTERS.map((name) => {
    const causes = Object.entries(report?.[CAUSES[name]] ?? {}).map(([cause, count]) => `${cause.replace("_", " ")} ${count}`);
    const why = causes.length ? [make("small", {}, causes.join(", "))] : [];
    return make("div", {}, make("dt", {}, name.replace("_", " ")), make("dd", {}, report ? String(report[name] ?? 0) : "–", ...why));
  });
  $("counters").replaceChildren(...cells);
}

/** @param {Heartbeat[]} beats */
function workers(beats) {
  $("no-workers").hidden = beats.length > 0;
  $("workers").replaceChildren(...beats.map(worker));
}

/** @param {Heartbeat} beat */
function worker({ name, style, device, threads, fps, busy, rss_bytes }) {
  const facts = [device, `${threads} ${threads === 1 ? "thread" : "threads"}`, sizeWords(rss_bytes)].join(" · ");
  const share = busy === null || busy === undefined ? "" : `${Math.round(busy * 100)} % busy`;
  const bar = make("i", { class: "meter" });
  bar.style.setProperty("--filled", `${(busy ?? 0) * 100}%`);
  const naming = make("span", {}, make("strong", {}, `${style} · ${name}`), make("small", {}, facts));
  const rate = make("small", {}, `${fps.toFixed(1)} FPS`, make("br"), share);
  return make("li", { class: "row" }, picture(style, 44), naming, rate, bar);
}
