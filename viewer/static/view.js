// @ts-check
/** What the page says about itself: which view, the state in words, the readout, the plate, how the picture fits. */

import { $, plate } from "./dom.js";
import { announce } from "./notices.js";
import { load, remember } from "./prefs.js";
import { LIVE, describe } from "./stream_states.js";
import { words } from "./stats.js";

/** @typedef {import("./state.js").PageState} PageState */

/** Fill the window while at least this much of the picture stays visible. */
const LEAST_VISIBLE = 0.7;
/** The wall's colours, and over how many of their pixels they run into each other. */
const AMBIENT = { width: 96, height: 54, blur: "blur(9px) saturate(1.2)" };
const AMBIENT_EVERY_MS = 500;
const FRESH_MS = 5000;

export class View {
  #studio;
  #state = "";
  #shownStyle = "";
  #ambientAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #fresh;
  #painting = /** @type {HTMLCanvasElement} */ ($("painting"));
  #ambient = /** @type {HTMLCanvasElement} */ ($("ambient"));
  #fit = /** @type {HTMLSelectElement} */ ($("fit"));

  /** @param {PageState} studio */
  constructor(studio) {
    this.#studio = studio;
    Object.assign(this.#ambient, { width: AMBIENT.width, height: AMBIENT.height });
    this.#fit.value = load().fit;
    this.#fit.addEventListener("change", () => {
      remember({ fit: this.#fit.value });
      this.#place();
    });
    addEventListener("resize", () => this.#place());
    // Loading is not told to parents; on the way down it is.
    $("hung-picture").addEventListener("load", ({ target }) => {
      if (studio.source.kind === "none") this.#wash(/** @type {HTMLImageElement} */ (target));
    }, { capture: true });
  }

  /** Show the view and the state the studio is in. */
  tell() {
    const { source, isGrid, isComparing, state, why } = this.#studio;
    document.body.dataset.view = source.kind === "none" ? "welcome" : isGrid ? "grid" : "single";
    $("tool-compare").setAttribute("aria-pressed", String(isComparing && !isGrid));
    $("tool-grid").setAttribute("aria-pressed", String(isGrid));
    const { words: said, tone, more } = describe(state, why);
    $("state").dataset.tone = tone;
    $("state-words").textContent = said;
    $("waiting").hidden = source.kind === "none" || state === LIVE || !more;
    $("waiting").textContent = more;
    $("readout").hidden = source.kind === "none" || state !== LIVE || isGrid;
    if (state !== this.#state) announce(more ? `${said}. ${more}` : said);
    this.#state = state;
    if (state !== LIVE) document.body.classList.remove("is-idle");
    if (source.kind === "none") this.#clear();
  }

  /** A picture was drawn on the large canvas. @param {import("./protocol.js").Header} header */
  drawn({ style }) {
    this.#place();
    if (style !== this.#shownStyle) this.#hang(style);
    const now = performance.now();
    if (now - this.#ambientAt < AMBIENT_EVERY_MS || $("picture").dataset.fit === "cover") return;
    this.#ambientAt = now;
    this.#wash(this.#painting);
  }

  /** @param {{fps: number, p50: number | null}} reading @param {string} filmLength "" when nothing is recorded */
  read({ fps, p50 }, filmLength) {
    const parts = [`${fps.toFixed(1)} FPS`, p50 === null ? "" : words(p50), filmLength && `film ${filmLength}`];
    $("readout").textContent = parts.filter(Boolean).join(" · ");
  }

  /** @param {string} style */
  #hang(style) {
    this.#shownStyle = style;
    const card = this.#studio.styles.find((one) => one.name === style);
    const label = $("label");
    label.replaceChildren(...plate(card));
    label.classList.add("is-fresh");
    clearTimeout(this.#fresh);
    this.#fresh = setTimeout(() => label.classList.remove("is-fresh"), FRESH_MS);
    this.#painting.setAttribute("aria-label", `The picture painted after ${card?.painting || style}`);
  }

  #clear() {
    this.#shownStyle = "";
    $("label").replaceChildren();
    this.#painting.width = this.#painting.height = 1;
    this.#ambient.classList.remove("is-covered");
  }

  #place() {
    const { width, height } = this.#painting;
    const wide = (width / height) * (innerHeight / innerWidth);
    const auto = Math.min(wide, 1 / wide) >= LEAST_VISIBLE ? "cover" : "contain";
    const fit = this.#fit.value === "auto" ? auto : this.#fit.value;
    $("picture").dataset.fit = fit;
    this.#ambient.classList.toggle("is-covered", this.#studio.source.kind !== "none" && fit === "cover");
  }

  /** @param {CanvasImageSource} picture */
  #wash(picture) {
    const context = this.#ambient.getContext("2d", { alpha: false });
    if (!context) return;
    context.filter = AMBIENT.blur;
    // Larger than the canvas, so that no blurred edge shows.
    context.drawImage(picture, -12, -12, AMBIENT.width + 24, AMBIENT.height + 24);
  }
}
