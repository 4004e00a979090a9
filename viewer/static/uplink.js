// @ts-check
/**
 * The camera's way up: when its next picture is worth sending, and as what: a JPEG where that fits the line, else a piece
 * of video at a rate that fits, else a smaller JPEG. Learns from the server's word that a picture was taken.
 */

import { Line } from "./line.js";
import { cameraChunk, cameraFrame } from "./protocol.js";
import { mayCapture } from "./throttle.js";

/** @typedef {{codec: string, bps: number, isKey: boolean} | null} VideoOrder */
/** @typedef {{video: VideoOrder, scale: number, quality: number}} Coding */
/** @typedef {{capturedMs: number, jpeg: Blob | null, chunk: ArrayBuffer | null, isKey: boolean, codec: string, pixels: number}} Encoded */

const FPS = 24;
const QUALITY = 0.85;
const SCALES = [1, 0.75, 0.5, 0.375];
/** Bits a pixel below which a smaller picture is the better one, of video and of JPEGs. */
const LEAST_BITS = { video: 0.05, jpeg: 0.35 };
/** A picture that was not taken by then is not waited for. */
const FORGET_MS = 2000;

export class Uplink {
  #line = new Line();
  /** @type {{at: number, capturedMs: number, bytes: number}[]} */ #sent = [];
  #lastSent = -Infinity;
  #needsKey = true;
  #quality = QUALITY;
  #pixels = 640 * 480;
  /** Of the pictures as JPEG of the full size and quality. */
  #jpegBytes = 0;
  /** What this browser encodes, best first @type {string[]} */ codecs = [];
  /** "": as the line is; else always this: a codec, "jpeg" or "off". */
  wanted = "";

  /** In words. */
  get words() {
    if (!this.#isCoded) return "JPEG";
    const [codec] = this.codecs;
    return codec ? { h264: "H.264", vp8: "VP8" }[codec] ?? codec : "JPEG, smaller";
  }

  /** @param {{now: number, shownFps: number, bufferedBytes: number}} facts times in ms */
  wants({ now, shownFps, bufferedBytes }) {
    this.#sent = this.#sent.filter((one) => now - one.at < FORGET_MS);
    const hasRoom = this.wanted === "off" || this.#sent.length < this.#line.window(FPS);
    return hasRoom && mayCapture({ now, lastSent: this.#lastSent, shownFps, bufferedBytes });
  }

  /** How the next picture is to be encoded. @returns {Coding} */
  get coding() {
    if (!this.#isCoded) return { video: null, scale: 1, quality: QUALITY };
    const [codec] = this.codecs;
    const least = codec ? LEAST_BITS.video : LEAST_BITS.jpeg;
    const scale = SCALES.find((one) => this.#line.bps >= this.#pixels * one * one * FPS * least) ?? SCALES[SCALES.length - 1];
    return { video: codec ? { codec, bps: this.#line.bps, isKey: this.#needsKey } : null, scale, quality: this.#quality };
  }

  /** Return the message that brings `encoded` up. @param {Encoded} encoded @param {number} now */
  message(encoded, now) {
    const { capturedMs, jpeg, chunk, isKey, codec } = encoded;
    const message = chunk ? cameraChunk(capturedMs, codec, isKey, chunk) : cameraFrame(capturedMs, /** @type {Blob} */ (jpeg));
    if (isKey) this.#needsKey = false;
    if (jpeg) this.#needsKey = true;
    this.#lastSent = now;
    this.#learn(encoded, message.size);
    this.#sent.push({ at: now, capturedMs, bytes: message.size });
    return message;
  }

  /** Take in a text message of the server; return whether it was one about the camera's way. @param {any} message @param {number} now */
  receive(message, now) {
    if (message.type === "took") this.took(message.captured_ms, now);
    else if (message.type === "echo") this.#line.note(now, now - message.at_ms);
    else if (message.type === "camera_key") this.lost();
    else if (message.type === "camera_jpeg") this.codecs = [];
    else return false;
    return true;
  }

  /** The server took the picture of that time. @param {number} capturedMs @param {number} now */
  took(capturedMs, now) {
    const done = this.#sent.filter((one) => one.capturedMs <= capturedMs);
    this.#sent = this.#sent.filter((one) => one.capturedMs > capturedMs);
    if (done.length === 0) return;
    const bytes = done.reduce((sum, one) => sum + one.bytes, 0);
    this.#line.acknowledged({ at: now, sent: done[done.length - 1].at, bytes, needs: this.#jpegBytes * 8 * FPS });
  }

  /** The server needs a key frame. */
  lost() {
    this.#needsKey = true;
  }

  /** A new connection, or a camera that was started again. */
  begin() {
    this.#line = new Line();
    if (!["", "off"].includes(this.wanted)) this.#line.codeAlways();
    this.#sent = [];
    this.#needsKey = true;
  }

  get #isCoded() {
    return this.wanted !== "off" && this.#line.isCoded;
  }

  /** @param {Encoded} encoded @param {number} bytes */
  #learn({ jpeg, pixels }, bytes) {
    if (!jpeg) return;
    if (!this.#isCoded) {
      this.#pixels = pixels;
      this.#jpegBytes = this.#jpegBytes ? 0.8 * this.#jpegBytes + 0.2 * bytes : bytes;
      return;
    }
    const wanted = this.#line.bps / 8 / FPS;
    const step = bytes > 1.1 * wanted ? -0.1 : bytes < 0.8 * wanted ? 0.05 : 0;
    this.#quality = Math.min(QUALITY, Math.max(0.3, this.#quality + step));
  }
}
