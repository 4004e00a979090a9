// @ts-check
/**
 * The browser's camera as JPEG frames or pieces of video, stamped with the page's clock. One encode is in flight (`encoder.js`, a worker); a
 * frame that comes meanwhile is left out. `stop()` releases the camera, and what is left of its last picture.
 */

/** @typedef {{deviceId: string, width: number, height: number, mirror: boolean}} Wanted */
/** @typedef {import("./uplink.js").Encoded} Encoded */
/** @typedef {{wants: (now: number) => boolean, coding: () => import("./uplink.js").Coding, onFrame: (encoded: Encoded) => void, onEnd: () => void}} CameraCallbacks */

/** A camera's stamp older than this is of another clock. */
const OLDEST_STAMP_MS = 1000;

export class Camera {
  mirror = false;
  /** @type {MediaStream | null} */ #stream = null;
  #video = document.createElement("video");
  /** @type {Worker | null} */ #encoder = null;
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

  /** Open a camera, closing the one before. Rejects with `getUserMedia`'s errors, or an `EncoderError`. @param {Wanted} wanted */
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
    this.#encoder = new Worker(new URL("./encoder.js", import.meta.url), { type: "module" });
    stream.getVideoTracks()[0].addEventListener("ended", () => this.#on.onEnd());
    await ready(this.#encoder);
    if (run !== this.#run) return;
    this.#video.srcObject = stream;
    await this.#video.play();
    this.#wait(run);
  }

  stop() {
    this.#run += 1;
    if (this.#stream) release(this.#stream);
    this.#stream = null;
    this.#video.srcObject = null;
    this.#encoder?.terminate();
    this.#encoder = null;
    this.#isEncoding = false;
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
    const [run, encoder] = [this.#run, this.#encoder];
    if (!videoWidth || !encoder) return;
    this.#isEncoding = true;
    try {
      const picture = await createImageBitmap(this.#video);
      // Whole milliseconds come back as the picture's pts exactly.
      const facts = { isMirrored: this.mirror, capturedMs: Math.round(capturedMs), coding: this.#on.coding() };
      await encoded(encoder, { picture, ...fitted(videoWidth, videoHeight, this.#bounds), ...facts }, (one) => {
        if (run === this.#run) this.#on.onFrame(one);
      });
    } finally {
      if (run === this.#run) this.#isEncoding = false;
    }
  }
}

/** The page came, and the part of it that encodes the camera's pictures did not. */
class EncoderError extends Error {
  name = "EncoderError";
}

/** Resolved when the worker says that it is there. @param {Worker} encoder @returns {Promise<void>} */
function ready(encoder) {
  return new Promise((resolve, reject) => {
    encoder.onmessage = () => resolve();
    encoder.onerror = () => reject(new EncoderError());
  });
}

/**
 * Resolved when the worker takes the next order; what comes of this one, or of the one before, goes to `onFrame`.
 * @param {Worker} encoder @param {import("./encoder.js").Order} order @param {(encoded: Encoded) => void} onFrame
 * @returns {Promise<void>}
 */
function encoded(encoder, order, onFrame) {
  return new Promise((resolve) => {
    encoder.onmessage = ({ data }) => (data.isDone ? resolve() : onFrame(data));
    encoder.postMessage(order, [order.picture]);
  });
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
