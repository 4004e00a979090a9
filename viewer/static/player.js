// @ts-check
/**
 * Draws one stream on a canvas (and its source on a second one). The newest picture wins: one decode is in flight, one
 * picture waits, older ones are skipped and counted; coded pictures are all decoded, in order. Drawing happens on
 * `requestAnimationFrame`. Knows no page ids.
 */

import { StreamDecoder } from "./video_decoder.js";

/** @typedef {import("./protocol.js").Picture} Picture */
/** @typedef {ImageBitmap | VideoFrame} Image */
/** @typedef {{picture: Picture, painted: Image, source: Image | null}} Decoded */

export class Player {
  /** Pictures replaced before they were drawn. */
  skipped = 0;
  /** @type {Picture | null} */ #next = null;
  /** @type {Decoded | null} */ #ready = null;
  #isDecoding = false;
  #request = 0;
  #stopped = false;
  #painting;
  #source;
  #onDrawn;
  #video;

  /**
   * @param {HTMLCanvasElement} painting
   * @param {HTMLCanvasElement | null} source
   * @param {(picture: Picture, at: number) => void} onDrawn called once a drawn picture, with the page's clock in ms
   * @param {(stream: string) => void} onLost a stream's coded pictures need a key frame
   */
  constructor(painting, source, onDrawn, onLost = () => {}) {
    this.#painting = painting;
    this.#source = source;
    this.#onDrawn = onDrawn;
    this.#video = new StreamDecoder((picture, painted) => this.#keep({ picture, painted, source: null }), onLost);
  }

  /** Show `picture` unless a newer one comes first. @param {Picture} picture */
  offer(picture) {
    if (this.#stopped) return;
    if (picture.chunk) return this.#video.decode(picture);
    if (this.#next) this.skipped += 1;
    this.#next = picture;
    if (!this.#isDecoding) void this.#decode();
  }

  /** Release everything; nothing is drawn afterwards. */
  stop() {
    this.#stopped = true;
    cancelAnimationFrame(this.#request);
    this.#next = null;
    this.#video.stop();
    this.#drop();
  }

  async #decode() {
    this.#isDecoding = true;
    while (this.#next && !this.#stopped) {
      const picture = this.#next;
      this.#next = null;
      try {
        const [painted, source] = await Promise.all([
          createImageBitmap(picture.painted),
          picture.source && this.#source ? createImageBitmap(picture.source) : null,
        ]);
        this.#keep({ picture, painted, source });
      } catch {
        // A broken JPEG costs one picture, not the player.
        this.skipped += 1;
      }
    }
    this.#isDecoding = false;
  }

  /** @param {Decoded} decoded */
  #keep(decoded) {
    if (this.#ready) this.skipped += 1;
    this.#drop();
    this.#ready = decoded;
    if (this.#stopped) this.#drop();
    else if (!this.#request) this.#request = requestAnimationFrame(() => this.#draw());
  }

  #drop() {
    this.#ready?.painted.close();
    this.#ready?.source?.close();
    this.#ready = null;
  }

  #draw() {
    this.#request = 0;
    if (!this.#ready) return;
    const { picture, painted, source } = this.#ready;
    paint(this.#painting, painted, picture.header);
    if (source && this.#source) paint(this.#source, source, picture.header);
    this.#drop();
    this.#onDrawn(picture, performance.now());
  }
}

/**
 * As large as it was painted, whatever size it was sent in: snapshots and recordings keep theirs.
 * @param {HTMLCanvasElement} canvas
 * @param {Image} image
 * @param {{w: number, h: number}} header
 */
function paint(canvas, image, { w, h }) {
  // Setting a canvas's size clears it, even to the same size.
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  canvas.getContext("2d", { alpha: false })?.drawImage(image, 0, 0, w, h);
}
