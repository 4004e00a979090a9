// @ts-check
/** "The line" in "What is going on": Mbit/s both ways as counted here, codec and size of what comes, and why it is so. */

import { $ } from "./dom.js";

/** @typedef {{way: string, trip_ms: number, needs_bps: number, capacity_bps: number, rate_bps: number, streams: {[stream: string]: {codec: string, width: number, height: number}}}} LineReport */

const WINDOW_MS = 4000;

/** Bytes of pictures both ways, over the last seconds. */
export class Traffic {
  /** @type {{at: number, bytes: number}[]} */ #down = [];
  /** @type {{at: number, bytes: number}[]} */ #up = [];

  /** @param {number} at ms @param {number} bytes */
  received(at, bytes) {
    this.#down.push({ at, bytes });
    trim(this.#down, at);
  }

  /** @param {number} at ms @param {number} bytes */
  sent(at, bytes) {
    this.#up.push({ at, bytes });
    trim(this.#up, at);
  }

  /** In Mbit/s. @param {number} now ms */
  read(now) {
    return { down: megabits(trim(this.#down, now)), up: megabits(trim(this.#up, now)) };
  }
}

/** @param {{at: number, bytes: number}[]} kept @param {number} now */
function trim(kept, now) {
  while (kept.length && now - kept[0].at > WINDOW_MS) kept.shift();
  return kept;
}

/** @param {{bytes: number}[]} kept */
function megabits(kept) {
  return (kept.reduce((sum, one) => sum + one.bytes, 0) * 8) / WINDOW_MS / 1000;
}

/** @param {string} codec as the server names it */
export function codecWords(codec) {
  if (codec === "") return "JPEG as painted";
  if (codec === "jpeg") return "JPEG, smaller";
  return codec.startsWith("avc1") ? "H.264" : codec.toUpperCase();
}

/** Why it is so. @param {LineReport} line @param {string} codec @param {boolean} hasVideo this page decodes video @param {boolean} isWanted by its address */
export function reason({ way, needs_bps, capacity_bps }, codec, hasVideo, isWanted = false) {
  const [needs, carries] = [needs_bps, capacity_bps].map((bps) => (bps / 1e6).toFixed(bps < 1e7 ? 1 : 0));
  if (isWanted) return "This page's address asks for it.";
  if (way === "pass") return "The pictures come as they were painted: the line is wide enough.";
  const why = `As painted, the pictures would take ${needs} Mbit/s; this line carries about ${carries}.`;
  if (codec !== "jpeg") return why;
  return hasVideo ? `${why} A compared picture comes as JPEG.` : `${why} This browser decodes no video here: it takes HTTPS or localhost, and WebCodecs.`;
}

export class LinePanel {
  hasVideo = false;
  isWanted = false;
  /** Words for how the camera goes up. */
  cameraCodec = "JPEG";
  /** @type {LineReport | null} */ #line = null;

  /** @param {LineReport} line */
  receive(line) {
    this.#line = line;
  }

  /** @param {string} stream the one shown @param {{down: number, up: number}} traffic Mbit/s */
  tick(stream, { down, up }) {
    if ($("insight").hidden) return;
    $("line-down").textContent = `${down.toFixed(2)} Mbit/s`;
    $("line-up").textContent = up > 0 ? `${up.toFixed(2)} Mbit/s, ${this.cameraCodec}` : "–";
    const shown = this.#line?.streams[stream];
    const isKnown = this.#line !== null && shown !== undefined && shown.width > 0;
    $("line-picture").textContent = isKnown ? `${codecWords(shown.codec)}, ${shown.width} × ${shown.height}` : "–";
    $("line-why").textContent = isKnown && this.#line ? reason(this.#line, shown.codec, this.hasVideo, this.isWanted) : "";
  }
}
