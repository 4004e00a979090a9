// @ts-check
/** How long to wait before the next attempt: growing, bounded, and jittered, so that pages do not come back in step. */

const FIRST_MS = 400;
const LONGEST_MS = 10_000;

/**
 * @param {number} attempt from 0
 * @param {number} [random] 0…1
 * @returns {number} ms, between half of the grown delay and all of it
 */
export function retryDelay(attempt, random = Math.random()) {
  const grown = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
  return grown * (0.5 + random / 2);
}
