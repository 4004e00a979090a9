// @ts-check
/**
 * What this page wants — source, style, look, grid, compare — told to the server whenever it changes and again after
 * every reconnect. No DOM: `change` events say that something did. Invariant: what was sent is what is wanted.
 */

import { PLAIN, lookFields } from "./look_fields.js";
import { LIVE, NOBODY, READY, WAITING, summary } from "./stream_states.js";

/** @typedef {{name: string, painting: string, painter: string, year: string}} StyleCard */
/** @typedef {{name: string, style: string, mode: string, width: number, height: number, captured: number, dropped: number, painted: number, failed: number, in_flight: number, age_s: number, links?: {mjpg: string, jpg: string}}} StreamRecord */
/** @typedef {import("./look_fields.js").Look} Look */
/** @typedef {{kind: "none" | "camera" | "stream", stream: string}} Source */

/** Statistics come once a second. */
const MISSED_S = 3;

export class PageState extends EventTarget {
  /** @type {StyleCard[]} */ styles = [];
  /** @type {StreamRecord[]} */ cards = [];
  /** @type {any} */ stats = null;
  style = "";
  /** Chosen, and not yet seen on a picture. */
  pendingStyle = "";
  /** @type {Look} */ look = PLAIN;
  /** @type {Source} */ source = { kind: "none", stream: "" };
  isGrid = false;
  isComparing = false;
  /** style → stream of one's own camera @type {Map<string, string>} */ own = new Map();
  #isAsleep = false;
  #link = READY;
  /** by stream; `why` nobody paints it @type {Map<string, {state: string, why: string}>} */ #states = new Map();
  #missed = 0;
  #sent = { camera: "", watch: "" };
  #send; #tileWidth;

  /** @param {(message: object) => void} send @param {() => number} tileWidth how wide a tile is, in device pixels */
  constructor(send, tileWidth = () => 0) {
    super();
    [this.#send, this.#tileWidth] = [send, tileWidth];
  }

  /** Streams shown now: style or stream name → stream. @returns {Map<string, string>} */
  get shown() {
    if (this.source.kind === "stream") return new Map([[this.style, this.source.stream]]);
    if (this.source.kind === "none") return new Map();
    if (this.isGrid) return this.own;
    // One style for another keeps the stream: its picture stays until the first one in the new style.
    const stream = this.own.size === 1 ? [...this.own.values()][0] : this.own.get(this.style);
    return new Map(stream ? [[this.style, stream]] : []);
  }

  get state() {
    if (this.#link !== LIVE) return this.#link;
    if (this.source.kind === "none") return this.stats?.connected && this.stats.workers?.length === 0 ? NOBODY : READY;
    if (this.shown.size === 0) return WAITING;
    return summary([...this.shown.values()].map((stream) => this.stateOf(stream)));
  }

  /** In the server's words, of the stream whose state is said. */
  get why() {
    const heard = [...this.shown.values()].map((stream) => this.#states.get(stream));
    return heard.find((one) => one?.state === this.state)?.why ?? "";
  }

  /** @param {string} stream */
  stateOf(stream) {
    return this.#states.get(stream)?.state ?? WAITING;
  }

  /** Paint in `style` from the next frame on; leaves the grid. @param {string} style */
  choose(style) {
    if (style !== this.style && this.source.kind !== "none" && !this.isGrid) this.pendingStyle = style;
    this.style = style;
    this.isGrid = false;
    this.#wish();
    this.#changed();
  }

  /** @param {Look} look */
  setLook(look) {
    this.look = look;
    this.#wish();
    this.#changed();
  }

  /** Show one's own camera ("camera"), a stream by name, or nothing. @param {Source} source */
  show(source) {
    this.source = source;
    this.pendingStyle = "";
    if (source.kind !== "camera") [this.own, this.isGrid] = [new Map(), false];
    const card = this.cards.find((one) => one.name === source.stream);
    if (card) this.style = card.style;
    this.#changed();
  }

  /** @param {boolean} isGrid all styles at once, of one's own camera */
  setGrid(isGrid) {
    this.isGrid = isGrid && this.source.kind === "camera";
    this.#changed();
  }

  setCompare(/** @type {boolean} */ isComparing) {
    this.isComparing = isComparing;
    this.#changed();
  }

  /** Watch nothing while nobody looks. @param {boolean} isAsleep */
  setAsleep(isAsleep) {
    this.#isAsleep = isAsleep;
    this.#changed();
  }

  /** @param {string} state of the connection to the page's server; LIVE says all is to be told again */
  setLink(state) {
    this.#link = state;
    if (state === LIVE) {
      this.#sent = { camera: "", watch: "" };
      this.#states.clear();
      this.own = new Map();
    }
    this.#changed();
  }

  /** A picture of `style` was drawn: it is live, and may have been changed by somebody else. @param {string} stream @param {string} style */
  drawn(stream, style) {
    const isNew = this.pendingStyle === style || this.stateOf(stream) === WAITING;
    if (this.pendingStyle === style) this.pendingStyle = "";
    if (this.stateOf(stream) === WAITING) this.#heard({ state: LIVE, stream });
    const isForeign = this.source.kind === "stream" && stream === this.source.stream && style !== this.style;
    if (isForeign && !this.pendingStyle) this.style = style;
    if (isNew || isForeign) this.#changed();
  }

  /** @param {any} message a text message of the server */
  receive(message) {
    if (message.type === "hello") {
      this.styles = message.styles;
      if (!this.styles.some((style) => style.name === this.style)) this.style = this.styles[0]?.name ?? "";
    } else if (message.type === "streams") {
      this.cards = message.streams;
    } else if (message.type === "stats") {
      this.stats = message;
      this.#missIt();
    } else if (message.type === "camera") {
      this.own = new Map(Object.entries(message.streams));
    } else if (message.type === "state") {
      this.#heard(message);
    } else if (message.type === "error") {
      this.dispatchEvent(new CustomEvent("complaint", { detail: message.message }));
    }
    this.#changed();
  }

  /** @param {{state: string, stream?: string, why?: string}} message; without a stream it is said of all */
  #heard({ state, stream, why = "" }) {
    for (const name of stream ? [stream] : this.shown.values()) this.#states.set(name, { state, why });
  }

  /** A stream that is gone for a few seconds, while the server answers, has ended. */
  #missIt() {
    const { kind, stream } = this.source;
    const isThere = kind !== "stream" || !this.stats.connected || this.cards.some((card) => card.name === stream);
    this.#missed = isThere ? 0 : this.#missed + 1;
    if (this.#missed < MISSED_S) return;
    this.source = { kind: "none", stream: "" };
    this.dispatchEvent(new CustomEvent("complaint", { detail: `The stream ${stream} has ended.` }));
  }

  #wish() {
    if (this.source.kind !== "stream") return;
    this.#send({ type: "wish", stream: this.source.stream, style: this.style, ...lookFields(this.look, this.style) });
  }

  #changed() {
    if (this.#link === LIVE && this.styles.length > 0) this.#tell();
    this.dispatchEvent(new Event("change"));
  }

  #tell() {
    const isOn = this.source.kind === "camera";
    const styles = this.isGrid ? this.styles.map((style) => style.name) : [this.style];
    const camera = isOn ? { type: "camera", styles, ...lookFields(this.look, this.isGrid ? "" : this.style) } : { type: "camera_off" };
    const streams = this.#isAsleep ? [] : [...this.shown.values()];
    const width = this.isGrid && this.#tileWidth() ? { width: this.#tileWidth() } : {};
    const watch = { type: "watch", streams, compare: this.isComparing && !this.isGrid, ...width };
    if (isOn || this.#sent.camera) this.#sent.camera = this.#once(camera, this.#sent.camera);
    if (streams.length || this.#sent.watch) this.#sent.watch = this.#once(watch, this.#sent.watch);
  }

  /** @param {object} message @param {string} before */
  #once(message, before) {
    const text = JSON.stringify(message);
    if (text !== before) this.#send(message);
    return text;
  }
}
