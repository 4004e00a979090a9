// @ts-check
/**
 * The browser's camera as JPEG frames, without its noise, stamped with the page's clock. One encode is in flight; a frame that comes
 * meanwhile is left out. `stop()` releases the camera.
 */

import { Steady } from "./steady.js";

/** @typedef {{deviceId: string, width: number, height: number, mirror: boolean}} Wanted */
/** @typedef {{wants: (now: number) => boolean, onFrame: (jpeg: Blob, capturedMs: number) => void, onEnd: () => void}} CameraCallbacks */

const JPEG_QUALITY = 0.85;
/** A camera's stamp older than this is of another clock. */
const OLDEST_STAMP_MS = 1000;

export class Camera {
  mirror = false;
  /** @type {MediaStream | null} */ #stream = null;
  #video = document.createElement("video");
  #canvas = new OffscreenCanvas(1, 1);
  #steady = new Steady();
  #isEncoding = false;
  #run = 0;
  #bounds = { width: 640, height: 480 };
  #on;

  /** @param {CameraCallbacks} callbacks */
  constructor(callbacks) {
    this.#on = callbacks;
    this.#video.muted = true;
    this.#video.playsInline = true;
  }

  get isOn() {
    return this.#stream !== null;
  }

  /** Id of the device in use, "" when off. */
  get deviceId() {
    return this.#stream?.getVideoTracks()[0]?.getSettings().deviceId ?? "";
  }

  /** Open a camera, closing the one before. Rejects with `getUserMedia`'s errors. @param {Wanted} wanted */
  async start({ deviceId, width, height, mirror }) {
    this.stop();
    const run = this.#run;
    this.mirror = mirror;
    this.#bounds = { width, height };
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { deviceId: deviceId ? { ideal: deviceId } : undefined, width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30 } },
    });
    if (run !== this.#run) return release(stream);
    this.#stream = stream;
    stream.getVideoTracks()[0].addEventListener("ended", () => this.#on.onEnd());
    this.#video.srcObject = stream;
    await this.#video.play();
    this.#wait(run);
  }

  stop() {
    this.#run += 1;
    if (this.#stream) release(this.#stream);
    this.#stream = null;
    this.#video.srcObject = null;
  }

  /** Cameras of this device; their names are empty until one was allowed. */
  async devices() {
    const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    return all.filter((device) => device.kind === "videoinput");
  }

  /** @param {number} run */
  #wait(run) {
    const next = (/** @type {number} */ now, /** @type {{captureTime?: number}} */ frame = {}) => {
      if (run !== this.#run) return;
      this.#wait(run);
      const stamp = frame.captureTime ?? now;
      const isOurs = now - stamp >= 0 && now - stamp < OLDEST_STAMP_MS;
      if (!document.hidden && !this.#isEncoding && this.#on.wants(now)) void this.#encode(isOurs ? stamp : now);
    };
    // Firefox before 132 has no frame callback: the screen's clock is the next best.
    if (this.#video.requestVideoFrameCallback) this.#video.requestVideoFrameCallback(next);
    else requestAnimationFrame(next);
  }

  /** @param {number} capturedMs */
  async #encode(capturedMs) {
    const { videoWidth, videoHeight } = this.#video;
    if (!videoWidth) return;
    this.#isEncoding = true;
    const { width, height } = fitted(videoWidth, videoHeight, this.#bounds);
    if (this.#canvas.width !== width || this.#canvas.height !== height) this.#canvas = new OffscreenCanvas(width, height);
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (this.#canvas.getContext("2d", { alpha: false, willReadFrequently: true }));
    context.setTransform(this.mirror ? -1 : 1, 0, 0, 1, this.mirror ? width : 0, 0);
    context.drawImage(this.#video, 0, 0, width, height);
    try {
      const picture = context.getImageData(0, 0, width, height);
      this.#steady.settle(picture);
      context.putImageData(picture, 0, 0);
      const jpeg = await this.#canvas.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY });
      if (this.isOn) this.#on.onFrame(jpeg, capturedMs);
    } finally {
      this.#isEncoding = false;
    }
  }
}

/** @param {MediaStream} stream */
function release(stream) {
  stream.getTracks().forEach((track) => track.stop());
}

/**
 * The largest size of the same shape within `bounds` turned to the picture's side, never larger than the picture.
 * @param {number} width
 * @param {number} height
 * @param {{width: number, height: number}} bounds
 */
export function fitted(width, height, bounds) {
  const [long, short] = [Math.max(bounds.width, bounds.height), Math.min(bounds.width, bounds.height)];
  const isWide = width >= height;
  const scale = Math.min(1, (isWide ? long : short) / width, (isWide ? short : long) / height);
  return { width: Math.round(width * scale), height: Math.round(height * scale) };
}
