// @ts-check
/**
 * When the camera's next frame is worth sending: never behind a full socket, and at most half again as many as come
 * back painted, since the server would drop the others and their encoding would take the painters' processor.
 */

const LEAST_FPS = 8;
const MOST_FPS = 30;
/** About one frame of 640×480: with more than that unsent, the next frame would only wait behind it. */
const MOST_BUFFERED_BYTES = 96 * 1024;

/**
 * @param {{now: number, lastSent: number, shownFps: number, bufferedBytes: number}} facts times in ms
 * @returns {boolean}
 */
export function mayCapture({ now, lastSent, shownFps, bufferedBytes }) {
  if (bufferedBytes > MOST_BUFFERED_BYTES) return false;
  const fps = Math.min(MOST_FPS, Math.max(LEAST_FPS, shownFps * 1.5 + 2));
  // A camera's own clock is not ours: 2 ms early is the same frame, not the next.
  return now - lastSent >= 1000 / fps - 2;
}
