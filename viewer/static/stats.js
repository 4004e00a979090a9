// @ts-check
/** Pure figures: rates by n − 1 intervals, percentiles, and the words for a duration. */

/** The parts of a frame's delay in the order it meets them, as the server measures them. */
export const STAGES = /** @type {const} */ (["capture", "wait", "queue", "decode", "paint", "encode", "return"]);

/** @typedef {{at: number, delay: number | null}} Sample when a picture was drawn, and capture to draw, ms; null: not our clock */

/**
 * Frames a second of rising times in ms: n frames are n − 1 intervals.
 * @param {number[]} times
 */
export function rate(times) {
  if (times.length < 2) return 0;
  const span = times[times.length - 1] - times[0];
  return span > 0 ? ((times.length - 1) * 1000) / span : 0;
}

/**
 * The nearest-rank percentile, or null of nothing.
 * @param {(number | null | undefined)[]} values
 * @param {number} percent 0…100
 */
export function percentile(values, percent) {
  const known = /** @type {number[]} */ (values.filter((value) => value != null)).sort((a, b) => a - b);
  if (known.length === 0) return null;
  return known[Math.max(0, Math.ceil((percent / 100) * known.length) - 1)];
}

/** The last few seconds of one stream's drawn pictures. */
export class Meter {
  /** @type {Sample[]} */ #samples = [];
  #windowMs;
  #most;

  /** @param {{windowMs?: number, most?: number}} [bounds] */
  constructor({ windowMs = 4000, most = 400 } = {}) {
    this.#windowMs = windowMs;
    this.#most = most;
  }

  /** @param {Sample} sample */
  add(sample) {
    this.#samples.push(sample);
    if (this.#samples.length > this.#most) this.#samples.shift();
  }

  /** @param {number} now ms */
  read(now) {
    this.#samples = this.#samples.filter((sample) => now - sample.at <= this.#windowMs);
    const delays = this.#samples.map((sample) => sample.delay);
    return { fps: rate(this.#samples.map((sample) => sample.at)), p50: percentile(delays, 50), p95: percentile(delays, 95) };
  }
}

/** Write a duration: `–`, `8.4 ms`, `86 ms`, `1.2 s`. @param {number | null | undefined} ms */
export function words(ms) {
  if (ms == null) return "–";
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** Write a size: `640 KB`, `290 MB`. @param {number} bytes */
export function sizeWords(bytes) {
  const units = ["bytes", "KB", "MB", "GB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${Math.round(bytes / 1024 ** step)} ${units[step]}`;
}
