// @ts-check
/** Where the picture comes from: this device's camera with its settings, or a stream somebody else makes. */

import { $, make, picture } from "./dom.js";
import { notify } from "./notices.js";
import { load, remember } from "./prefs.js";
import { cameraObstacle, cameraRefusal } from "./camera_access.js";

/** @typedef {import("./state.js").PageState} PageState */
/** @typedef {import("./camera.js").Camera} Camera */

const SIZES = [
  { size: "320x240", words: "320 × 240, quickest" },
  { size: "640x480", words: "640 × 480" },
  { size: "960x720", words: "960 × 720" },
  { size: "1280x720", words: "1280 × 720, finest" },
];

export class Sources {
  /** A stream named in the page's address, watched as soon as it shows up. */
  #linked = decodeURIComponent(location.hash.slice(1));
  #studio;
  #camera;
  #device = /** @type {HTMLSelectElement} */ ($("device"));
  #resolution = /** @type {HTMLSelectElement} */ ($("resolution"));
  #mirror = /** @type {HTMLInputElement} */ ($("mirror"));
  #obstacle = cameraObstacle({
    isSecureContext: globalThis.isSecureContext,
    hasMediaDevices: Boolean(navigator.mediaDevices?.getUserMedia),
    hostname: location.hostname,
    port: location.port,
  });

  /** @param {PageState} studio @param {Camera} camera */
  constructor(studio, camera) {
    this.#studio = studio;
    this.#camera = camera;
    const { mirror, resolution } = load();
    this.#resolution.append(...SIZES.map(({ size, words }) => make("option", { value: size, selected: size === resolution }, words)));
    this.#mirror.checked = mirror;
    this.#mirror.addEventListener("change", () => this.setMirror(this.#mirror.checked));
    this.#device.addEventListener("change", () => this.#again({ deviceId: this.#device.value }));
    this.#resolution.addEventListener("change", () => this.#again({ resolution: this.#resolution.value }));
    for (const id of ["start", "camera-toggle"]) $(id).addEventListener("click", () => this.toggle());
    studio.addEventListener("change", () => this.#tell());
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.#list());
    this.#explain();
    void this.#list();
  }

  toggle() {
    if (this.#camera.isOn) this.stop();
    else void this.start();
  }

  async start() {
    if (this.#obstacle) return notify(this.#obstacle.title, { isBad: true });
    const { deviceId, resolution, mirror } = load();
    const [width, height] = resolution.split("x").map(Number);
    try {
      await this.#camera.start({ deviceId, width, height, mirror });
    } catch (error) {
      this.#camera.stop();
      $("camera-note").textContent = cameraRefusal(error);
      return notify(cameraRefusal(error), { isBad: true });
    }
    $("camera-note").textContent = "";
    history.replaceState(null, "", location.pathname);
    if (this.#studio.source.kind !== "camera") this.#studio.show({ kind: "camera", stream: "" });
    await this.#list();
  }

  /** Turn the camera off and go back to the start. */
  stop() {
    this.#camera.stop();
    if (this.#studio.source.kind === "camera") this.#studio.show({ kind: "none", stream: "" });
  }

  /** @param {string} stream */
  watch(stream) {
    this.#camera.stop();
    history.replaceState(null, "", `#${encodeURIComponent(stream)}`);
    this.#studio.show({ kind: "stream", stream });
  }

  /** @param {boolean} mirror */
  setMirror(mirror) {
    this.#camera.mirror = mirror;
    this.#mirror.checked = mirror;
    remember({ mirror });
  }

  /** @param {Parameters<typeof remember>[0]} change */
  #again(change) {
    remember(change);
    if (this.#camera.isOn) void this.start();
  }

  async #list() {
    const devices = await this.#camera.devices();
    const chosen = this.#camera.deviceId || load().deviceId;
    const options = devices.map((device, index) => make("option", { value: device.deviceId, selected: device.deviceId === chosen }, device.label || `Camera ${index + 1}`));
    this.#device.replaceChildren(...(options.length ? options : [make("option", { value: "" }, "None found")]));
    this.#device.disabled = options.length < 2;
  }

  #explain() {
    if (!this.#obstacle) return;
    const { title, reason, ways } = this.#obstacle;
    $("obstacle").replaceChildren(make("strong", {}, title), make("p", {}, reason), make("ul", {}, ...ways.map((way) => make("li", {}, way))));
    $("obstacle").hidden = false;
    for (const id of ["start", "camera-toggle"]) /** @type {HTMLButtonElement} */ ($(id)).disabled = true;
    $("camera-note").textContent = `${title}. ${reason}`;
  }

  #tell() {
    const linked = this.#linked && this.#studio.cards.find((card) => card.name === this.#linked);
    if (linked) {
      this.#linked = "";
      return this.watch(linked.name);
    }
    const isOn = this.#studio.source.kind === "camera";
    $("camera-toggle").textContent = isOn ? "Turn the camera off" : "Start the camera";
    $("camera-toggle").classList.toggle("is-primary", !isOn);
    const own = new Set(this.#studio.own.values());
    const mine = this.#studio.cards.find((card) => own.has(card.name) && card.style === this.#studio.style);
    const link = /** @type {HTMLAnchorElement} */ ($("camera-link"));
    link.hidden = !mine?.links;
    if (mine?.links) link.href = mine.links.mjpg;
    const others = this.#studio.cards.filter((card) => card.mode === "live" && !own.has(card.name));
    keyed($("streams"), others, (card) => this.#row(card));
    keyed($("live-now-list"), others, (card) => this.#chip(card));
    $("no-streams").hidden = others.length > 0;
    $("live-now").hidden = others.length === 0;
  }

  /** @param {import("./state.js").StreamRecord} card */
  #row(card) {
    const facts = `${card.style} · ${card.width} × ${card.height}`;
    const row = make("button", { class: "row", type: "button", "aria-current": card.name === this.#studio.source.stream }, picture(card.style, 44), make("span", {}, make("strong", {}, card.name), make("small", {}, facts)));
    row.addEventListener("click", () => this.watch(card.name));
    const link = card.links?.mjpg;
    return make("li", {}, row, ...(link ? [make("a", { class: "beside", href: link, target: "_blank", rel: "noopener" }, "as MJPEG, for OBS or VLC")] : []));
  }

  /** @param {import("./state.js").StreamRecord} card */
  #chip(card) {
    const chip = make("button", { class: "chip", type: "button", title: `Watch ${card.name}` }, picture(card.style, 44), card.name);
    chip.addEventListener("click", () => this.watch(card.name));
    return make("li", {}, chip);
  }
}

/**
 * Rebuild a list only when what it shows changed, so that the focus stays where it is.
 * @param {HTMLElement} list
 * @param {import("./state.js").StreamRecord[]} cards
 * @param {(card: import("./state.js").StreamRecord) => HTMLElement} row
 */
function keyed(list, cards, row) {
  const key = cards.map(({ name, style, width, links }) => [name, style, width, links?.mjpg].join()).join(";");
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...cards.map(row));
}
