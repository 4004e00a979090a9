// @ts-check
/**
 * Which stream is drawn where: one large canvas, or a tile each. Acknowledges what was drawn and measures it; a picture
 * that was overtaken is acknowledged by the one that overtook it.
 */

import { Player } from "./player.js";
import { Meter } from "./stats.js";

/** @typedef {import("./protocol.js").Picture} Picture */
/** @typedef {{ack: (stream: string, seq: number, delayMs: number | null, heldMs: number) => void, lost: (stream: string) => void, drawn: (picture: Picture) => void, isOwn: (stream: string) => boolean}} ScreenCallbacks */

export class Screen {
  /** stream → what was drawn lately @type {Map<string, Meter>} */ meters = new Map();
  /** @type {Map<string, Player>} */ #tiles = new Map();
  #mainStream = "";
  #main;
  #on;

  /**
   * @param {HTMLCanvasElement} painting
   * @param {HTMLCanvasElement} source
   * @param {ScreenCallbacks} callbacks
   */
  constructor(painting, source, callbacks) {
    this.#on = callbacks;
    this.#main = new Player(painting, source, (picture, at) => this.#drawn(picture, at), callbacks.lost);
  }

  /** Show one stream on the large canvas; the last picture stays until the next one comes. @param {string} stream "": none */
  showOne(stream) {
    this.#mainStream = stream;
    this.#keepTiles(new Map());
  }

  /** Show each stream on its canvas. @param {Map<string, HTMLCanvasElement>} tiles */
  showTiles(tiles) {
    this.#mainStream = "";
    this.#keepTiles(tiles);
    for (const [stream, canvas] of tiles) {
      if (this.#tiles.has(stream)) continue;
      this.#tiles.set(stream, new Player(canvas, null, (picture, at) => this.#drawn(picture, at), this.#on.lost));
    }
  }

  /** @param {Picture} picture */
  offer(picture) {
    const { stream } = picture.header;
    const player = this.#tiles.get(stream) ?? (stream === this.#mainStream ? this.#main : null);
    player?.offer(picture);
  }

  /** @param {string} stream @param {number} now ms */
  read(stream, now) {
    return this.meters.get(stream)?.read(now) ?? { fps: 0, p50: null, p95: null };
  }

  /** The fastest rate at which anything shown comes back. @param {number} now ms */
  fps(now) {
    return Math.max(0, ...[...this.meters.values()].map((meter) => meter.read(now).fps));
  }

  stop() {
    this.#main.stop();
    this.#keepTiles(new Map());
  }

  /** @param {Map<string, HTMLCanvasElement>} tiles */
  #keepTiles(tiles) {
    for (const [stream, player] of this.#tiles) {
      if (tiles.has(stream)) continue;
      player.stop();
      this.#tiles.delete(stream);
    }
    for (const stream of this.meters.keys()) if (!tiles.has(stream) && stream !== this.#mainStream) this.meters.delete(stream);
  }

  /** @param {Picture} picture @param {number} at */
  #drawn(picture, at) {
    const { stream, seq, pts } = picture.header;
    const delay = this.#on.isOwn(stream) ? Math.max(0, at - pts) : null;
    let meter = this.meters.get(stream);
    if (!meter) this.meters.set(stream, (meter = new Meter()));
    meter.add({ at, delay });
    this.#on.ack(stream, seq, delay, Math.max(0, at - picture.arrivedAt));
    this.#on.drawn(picture);
  }
}
