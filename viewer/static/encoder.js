// @ts-check
/**
 * A worker that takes the noise out of the camera's pictures and encodes them, so that the page's own thread draws.
 * Answers each order with `{isDone: true}`; what was encoded comes in a message of its own, video perhaps a little later.
 */

import { Denoiser } from "./denoise.js";

/** @typedef {import("./uplink.js").Coding} Coding */
/** @typedef {{picture: ImageBitmap, width: number, height: number, isMirrored: boolean, capturedMs: number, coding: Coding}} Order */

/** H.264 Baseline up to 1280×720, and above. */
const LEVEL_BORDER_PX = 1280 * 720;
/** What the encoder may have waiting: with more, the picture would only grow old. */
const MOST_WAITING = 1;
/** Another rate is worth a new configuration from here on. */
const OTHER_RATE = 1.15;

const denoiser = new Denoiser();
let canvas = new OffscreenCanvas(1, 1);
/** @type {VideoEncoder | null} */ let encoder = null;
/** @type {VideoEncoderConfig | null} */ let config = null;

// A picture that does not encode is left out; nobody waits for it.
addEventListener("message", ({ data }) => void encode(data).catch(() => undefined).then(() => postMessage({ isDone: true })));

// Said once: whoever waits for it learns that this file and what it imports came.
postMessage("ready");

/** @param {Order} order */
async function encode({ picture, width, height, isMirrored, capturedMs, coding }) {
  const [wide, tall] = [width, height].map((length) => 2 * Math.round((length * coding.scale) / 2));
  draw(picture, wide, tall, isMirrored);
  const pixels = width * height;
  if (coding.video) return video(coding.video, capturedMs, pixels);
  close();
  const jpeg = await canvas.convertToBlob({ type: "image/jpeg", quality: coding.quality });
  postMessage({ capturedMs, jpeg, chunk: null, isKey: false, codec: "", pixels });
}

/** @param {ImageBitmap} picture @param {number} width @param {number} height @param {boolean} isMirrored */
function draw(picture, width, height, isMirrored) {
  if (canvas.width !== width || canvas.height !== height) canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false, willReadFrequently: true }));
  context.setTransform(isMirrored ? -1 : 1, 0, 0, 1, isMirrored ? width : 0, 0);
  context.drawImage(picture, 0, 0, width, height);
  picture.close();
  const pixels = context.getImageData(0, 0, width, height);
  denoiser.apply(pixels);
  context.putImageData(pixels, 0, 0);
}

/** @param {{codec: string, bps: number, isKey: boolean}} wanted @param {number} capturedMs @param {number} pixels */
function video({ codec, bps, isKey }, capturedMs, pixels) {
  if (encoder && encoder.encodeQueueSize > MOST_WAITING) return;
  const isNew = configure(codec, bps, pixels);
  // The output says which picture it is by its time alone, in µs.
  const frame = new VideoFrame(canvas, { timestamp: capturedMs * 1000 });
  encoder?.encode(frame, { keyFrame: isKey || isNew });
  frame.close();
}

/** Have an encoder of this codec, size and rate; return whether it begins anew. @param {string} codec @param {number} bps @param {number} pixels */
function configure(codec, bps, pixels) {
  const { width, height } = canvas;
  const isSame = encoder?.state === "configured" && config?.width === width && config.height === height;
  const name = codec === "h264" ? (width * height > LEVEL_BORDER_PX ? "avc1.42e028" : "avc1.42e01f") : codec;
  const isSameCodec = isSame && config?.codec === name;
  const ratio = bps / (config?.bitrate ?? 1);
  if (isSameCodec && ratio < OTHER_RATE && ratio > 1 / OTHER_RATE) return false;
  config = { codec: name, width, height, bitrate: Math.round(bps), framerate: 24, latencyMode: "realtime" };
  if (codec === "h264") config.avc = { format: "annexb" };
  if (!isSameCodec) {
    close();
    encoder = new VideoEncoder({ output: (chunk) => give(chunk, codec, pixels), error: () => close() });
  }
  encoder?.configure(config);
  return !isSameCodec;
}

/** @param {EncodedVideoChunk} chunk @param {string} codec @param {number} pixels */
function give(chunk, codec, pixels) {
  const data = new ArrayBuffer(chunk.byteLength);
  chunk.copyTo(data);
  const capturedMs = Math.round(chunk.timestamp / 1000);
  postMessage({ capturedMs, jpeg: null, chunk: data, isKey: chunk.type === "key", codec, pixels }, { transfer: [data] });
}

function close() {
  if (encoder && encoder.state !== "closed") encoder.close();
  encoder = null;
}
