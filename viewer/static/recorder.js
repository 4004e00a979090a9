// @ts-check
/** What a visitor takes home: a PNG of what is shown, and a film recorded from the canvas. */

import { download } from "./dom.js";

/** MP4 first: it plays in more places. */
const FORMATS = [
  { type: "video/mp4;codecs=avc1.42E01F", suffix: "mp4" },
  { type: "video/webm;codecs=vp9", suffix: "webm" },
  { type: "video/webm;codecs=vp8", suffix: "webm" },
];
const BITS_PER_S = 6_000_000;
/** A film is held in memory until it is saved; at this size (about ten minutes) it is saved by itself. */
const MOST_BYTES = 480 * 1024 * 1024;

/** @param {string} what @param {string} suffix */
function fileName(what, suffix) {
  const [day, time] = new Date().toISOString().split("T");
  return `${what}-${day}-${time.slice(0, 8).replaceAll(":", "")}.${suffix}`;
}

/**
 * Save the canvases as one PNG, side by side in rows of `columns`.
 * @param {HTMLCanvasElement[]} canvases
 * @param {string} name
 * @param {number} [columns]
 */
export async function snapshot(canvases, name, columns = 3) {
  const across = Math.min(columns, canvases.length);
  const { width, height } = canvases[0];
  const sheet = new OffscreenCanvas(width * across, height * Math.ceil(canvases.length / across));
  const context = sheet.getContext("2d");
  canvases.forEach((canvas, index) => {
    context?.drawImage(canvas, (index % across) * width, Math.floor(index / across) * height, width, height);
  });
  download(await sheet.convertToBlob({ type: "image/png" }), fileName(name, "png"));
}

export class Recorder {
  /** @type {MediaRecorder | null} */ #recorder = null;
  #since = 0;
  #canvas;
  #onChange;
  #onEnd;

  /**
   * `onEnd` is told whether there was anything to save, and why the film ended if it did by itself.
   * @param {HTMLCanvasElement} canvas
   * @param {(isOn: boolean) => void} onChange
   * @param {(isSaved: boolean, trouble: string) => void} onEnd
   */
  constructor(canvas, onChange, onEnd) {
    this.#canvas = canvas;
    this.#onChange = onChange;
    this.#onEnd = onEnd;
  }

  get isOn() {
    return this.#recorder !== null;
  }

  /** How long the film is so far: `0:07`, "" when none is made. */
  get length() {
    if (!this.isOn) return "";
    const seconds = Math.floor((performance.now() - this.#since) / 1000);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }

  /** Begin a film named after `name`. Throws where the browser cannot record. @param {string} name */
  start(name) {
    const format = FORMATS.find(({ type }) => globalThis.MediaRecorder?.isTypeSupported(type));
    if (!format) throw new Error("This browser cannot record a canvas.");
    const recorder = new MediaRecorder(this.#canvas.captureStream(30), { mimeType: format.type, videoBitsPerSecond: BITS_PER_S });
    /** @type {Blob[]} */
    const parts = [];
    let bytes = 0;
    recorder.ondataavailable = ({ data }) => {
      parts.push(data);
      bytes += data.size;
      if (bytes > MOST_BYTES) this.stop();
    };
    let trouble = "";
    recorder.onerror = (event) => {
      trouble = /** @type {ErrorEvent} */ (event).error?.message || "";
    };
    recorder.onstop = () => {
      recorder.stream.getTracks().forEach((track) => track.stop());
      if (bytes > 0) download(new Blob(parts, { type: format.type.split(";")[0] }), fileName(name, format.suffix));
      // By itself: there is no room for more, or its encoder broke.
      if (this.#recorder === recorder) {
        this.#recorder = null;
        this.#onChange(false);
        trouble ||= "the browser gives no reason";
      }
      this.#onEnd(bytes > 0, trouble);
    };
    // A part a second, so that a crash of the encoder costs a second.
    recorder.start(1000);
    this.#recorder = recorder;
    this.#since = performance.now();
    this.#onChange(true);
  }

  /** End the film and save it. */
  stop() {
    const recorder = this.#recorder;
    this.#recorder = null;
    this.#onChange(false);
    if (recorder?.state !== "inactive") recorder?.stop();
  }
}

export function toggleFullScreen() {
  if (document.fullscreenElement) return document.exitFullscreen();
  return document.documentElement.requestFullscreen?.();
}
