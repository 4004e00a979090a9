// @ts-check
/** A worker that takes the noise out of the camera's pictures and encodes them, so that the page's own thread draws. */

import { Denoiser } from "./denoise.js";

/** @typedef {{picture: ImageBitmap, width: number, height: number, isMirrored: boolean}} Order */

const JPEG_QUALITY = 0.85;

const denoiser = new Denoiser();
let canvas = new OffscreenCanvas(1, 1);

// A picture that does not encode is left out; nobody waits for it.
addEventListener("message", ({ data }) => void encoded(data).then(postMessage, () => postMessage(null)));

// Said once: whoever waits for it learns that this file and what it imports came.
postMessage("ready");

/** @param {Order} order */
async function encoded({ picture, width, height, isMirrored }) {
  if (canvas.width !== width || canvas.height !== height) canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false, willReadFrequently: true }));
  context.setTransform(isMirrored ? -1 : 1, 0, 0, 1, isMirrored ? width : 0, 0);
  context.drawImage(picture, 0, 0, width, height);
  picture.close();
  const pixels = context.getImageData(0, 0, width, height);
  denoiser.apply(pixels);
  context.putImageData(pixels, 0, 0);
  return canvas.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY });
}
