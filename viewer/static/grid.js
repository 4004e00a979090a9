// @ts-check
/** All styles at once: a tile a style, each with its rate and delay; a tile is a button that leaves the wall in it. */

import { $, make, pictureOf } from "./dom.js";
import { LIVE, describe } from "./stream_states.js";
import { words } from "./stats.js";

/** @typedef {import("./state.js").PageState} PageState */
/** @typedef {{canvas: HTMLCanvasElement, figure: HTMLElement}} Tile */

export class Grid {
  /** style → tile @type {Map<string, Tile>} */ #tiles = new Map();
  #studio;
  #onChoose;

  /** @param {PageState} studio @param {(style: string) => void} onChoose */
  constructor(studio, onChoose) {
    this.#studio = studio;
    this.#onChoose = onChoose;
  }

  /** Make the tiles of all styles, or remove them; return stream → canvas of those that have a stream. @param {boolean} isOn */
  hang(isOn) {
    if (!isOn) this.#clear();
    else if (this.#tiles.size === 0) this.#fill();
    /** @type {Map<string, HTMLCanvasElement>} */
    const canvases = new Map();
    for (const [style, stream] of this.#studio.shown) {
      const tile = this.#tiles.get(style);
      if (tile) canvases.set(stream, tile.canvas);
    }
    return canvases;
  }

  /** Write each tile's figures. @param {(stream: string) => {fps: number, p50: number | null}} read */
  tell(read) {
    for (const [style, { figure }] of this.#tiles) {
      const stream = this.#studio.shown.get(style) ?? "";
      const state = this.#studio.stateOf(stream);
      const { fps, p50 } = read(stream);
      figure.textContent = state === LIVE ? `${fps.toFixed(1)} FPS · ${words(p50)}` : describe(state).words;
    }
  }

  /** How wide a tile is in device pixels, in steps of 64, so that a dragged window does not change it all the time. */
  get tileWidth() {
    const tile = [...this.#tiles.values()][0];
    return Math.ceil(((tile?.canvas.clientWidth ?? 0) * devicePixelRatio) / 64) * 64;
  }

  /** The tiles' canvases in their order. */
  get canvases() {
    return [...this.#tiles.values()].map((tile) => tile.canvas);
  }

  #fill() {
    const { styles } = this.#studio;
    const wide = styles.length < 3 ? styles.length : Math.ceil(Math.sqrt(styles.length));
    const tall = styles.length < 3 ? 1 : 2;
    $("wall").style.setProperty("--columns", String(wide));
    $("wall").style.setProperty("--columns-tall", String(tall));
    for (const style of styles) this.#add(style);
    [...$("wall").children].forEach((tile, index) => {
      tile.classList.toggle("is-top-wide", index < wide);
      tile.classList.toggle("is-top-tall", index < tall);
    });
  }

  /** @param {import("./state.js").StyleCard} style */
  #add(style) {
    const canvas = make("canvas", { width: 4, height: 3, "aria-hidden": true });
    const figure = make("span");
    const caption = make("span", { class: "tile-caption" }, make("strong", {}, style.painting || style.name), figure);
    const tile = make("button", { class: "tile", type: "button", "data-style": style.name }, canvas, caption);
    tile.style.backgroundImage = `url("${pictureOf(style.name)}")`;
    tile.addEventListener("click", () => this.#onChoose(style.name));
    this.#tiles.set(style.name, { canvas, figure });
    $("wall").append(tile);
  }

  #clear() {
    this.#tiles.clear();
    $("wall").replaceChildren();
  }
}
