// @ts-check
/**
 * A camera's noise, taken out before its pictures are sent, so that strokes stay where nothing moves. What
 * `producer/steady.py` does, and why, with the same numbers. No DOM; some 5 ms at 640×480.
 */

/** @typedef {{data: Uint8ClampedArray, width: number, height: number}} Picture RGBA, as ImageData has it */

const NEW_SHARE = 0.15;
/** Squares of 4 pixels a side. */
const CELL_BITS = 2;
const MOVES = 3;
const CALMEST = 20;
const LEAST_NOISE = 1;
const MOST_NOISE = 2;
/** A square that differs by 1 of 255 in all its pixels and colours. */
const WHOLE = 3 << (2 * CELL_BITS);
/** What a place changes by, for each difference from -255 on. */
const STEPS = Int8Array.from({ length: 511 }, (_, i) => Math.round(NEW_SHARE * (i - 255)));

export class Steady {
  #last = new Uint8Array();
  #width = 0;

  /** Average what does not move with the pictures before, in place. @param {Picture} picture */
  settle({ data, width }) {
    // Twice as quick as the same bytes clamped.
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.length);
    if (this.#last.length === bytes.length && this.#width === width) average(bytes, this.#last, width, moving(bytes, this.#last, width));
    else this.#last = bytes.slice();
    this.#width = width;
  }
}

/** For each square whether it moves. @param {Uint8Array} bytes @param {Uint8Array} last @param {number} width */
function moving(bytes, last, width) {
  const columns = columnsOf(width);
  const { more, less } = differences(bytes, last, width);
  const limit = MOVES * noiseOf(more, less, columns);
  const found = new Uint8Array(more.length);
  for (let i = 0; i < found.length; i += 1) {
    if (more[i] + less[i] <= limit) continue;
    // Those around it as well; at the sides this reaches one in the row before or after.
    for (const row of [i - columns, i, i + columns]) found.fill(1, Math.max(0, row - 1), Math.max(0, row + 2));
  }
  return found;
}

/** By how much each square is lighter than before, and darker: sums over its pixels and colours. @param {Uint8Array} bytes @param {Uint8Array} last @param {number} width */
function differences(bytes, last, width) {
  const columns = columnsOf(width);
  const height = bytes.length / 4 / width;
  const [sums, sizes] = [new Int32Array(columns * columnsOf(height)), new Int32Array(columns * columnsOf(height))];
  for (let y = 0, i = 0; y < height; y += 1) {
    const row = (y >> CELL_BITS) * columns;
    for (let x = 0; x < width; x += 1, i += 4) {
      const cell = row + (x >> CELL_BITS);
      const [red, green, blue] = [bytes[i] - last[i], bytes[i + 1] - last[i + 1], bytes[i + 2] - last[i + 2]];
      sums[cell] += red + green + blue;
      sizes[cell] += Math.abs(red) + Math.abs(green) + Math.abs(blue);
    }
  }
  return { more: sizes.map((size, i) => (size + sums[i]) / 2), less: sizes.map((size, i) => (size - sums[i]) / 2) };
}

/**
 * What the calmest squares differ by, within bounds. Noise goes both ways within a square and those around it; what
 * makes all of them lighter or darker, as in a fade, is none.
 * @param {Int32Array} more @param {Int32Array} less @param {number} columns
 */
function noiseOf(more, less, columns) {
  const found = [];
  // One of nine squares, each with those around it.
  for (let row = columns; row + columns < more.length; row += 3 * columns) {
    for (let i = row + 1; i < row + columns - 1; i += 3) {
      let [up, down] = [0, 0];
      for (const at of [i - columns, i, i + columns]) {
        up += more[at - 1] + more[at] + more[at + 1];
        down += less[at - 1] + less[at] + less[at + 1];
      }
      found.push((2 * Math.min(up, down)) / 9);
    }
  }
  const calmest = Float64Array.from(found).sort()[Math.floor(found.length / CALMEST)] ?? 0;
  return Math.min(Math.max(calmest, LEAST_NOISE * WHOLE), MOST_NOISE * WHOLE);
}

/** @param {Uint8Array} bytes @param {Uint8Array} last @param {number} width @param {Uint8Array} isMoving by square */
function average(bytes, last, width, isMoving) {
  const columns = columnsOf(width);
  for (let y = 0, i = 0; i < bytes.length; y += 1) {
    const row = (y >> CELL_BITS) * columns;
    for (let x = 0; x < width; x += 1, i += 4) {
      if (isMoving[row + (x >> CELL_BITS)]) {
        last[i] = bytes[i];
        last[i + 1] = bytes[i + 1];
        last[i + 2] = bytes[i + 2];
      } else {
        const [red, green, blue] = [last[i], last[i + 1], last[i + 2]];
        bytes[i] = last[i] = red + STEPS[bytes[i] - red + 255];
        bytes[i + 1] = last[i + 1] = green + STEPS[bytes[i + 1] - green + 255];
        bytes[i + 2] = last[i + 2] = blue + STEPS[bytes[i + 2] - blue + 255];
      }
    }
  }
}

/** @param {number} pixels */
function columnsOf(pixels) {
  return (pixels + (1 << CELL_BITS) - 1) >> CELL_BITS;
}
