/** A camera's noise goes where nothing moves, and nothing else does. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Denoiser } from "../../viewer/static/denoise.js";

const [WIDTH, HEIGHT] = [66, 50];

/** Noise that is the same in every run. */
function noise(seed) {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return (state / 2147483648 - 0.5) * 8;
  };
}

/** @param {(x: number, y: number) => number} shade */
function film(shade, width = WIDTH, height = HEIGHT) {
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < width * height; i += 1) data.set([1, 1, 1].map(() => shade(i % width, Math.floor(i / width))).concat(255), 4 * i);
  return { data, width, height };
}

/** How far two pictures lie apart, rms. */
function apart(one, other) {
  return Math.sqrt(one.data.reduce((sum, value, i) => sum + (value - other.data[i]) ** 2, 0) / one.data.length);
}

const inSquare = (x, y, left) => x >= left && x < left + 12 && y >= 20 && y < 32;

test("noise of a picture that stands still goes, and its pictures differ less than half as much", () => {
  const denoiser = new Denoiser();
  const still = (x, y) => 60 + x + y;
  const random = noise(7);
  let before = film(still);
  let changed = 0;
  let filmed = 0;
  let last = before;
  for (let n = 0; n < 24; n += 1) {
    const picture = film((x, y) => still(x, y) + random());
    const asFilmed = { ...picture, data: picture.data.slice() };
    denoiser.apply(picture);
    if (n >= 12) [changed, filmed] = [changed + apart(picture, before), filmed + apart(asFilmed, last)];
    [before, last] = [{ ...picture, data: picture.data.slice() }, asFilmed];
  }
  assert.ok(changed < 0.5 * filmed, `${changed} against ${filmed}`);
  assert.ok(apart(before, film(still)) < 2);
});

test("what moves is as filmed, and leaves nothing behind", () => {
  const denoiser = new Denoiser();
  for (let n = 0; n < 10; n += 1) {
    const picture = film((x, y) => (inSquare(x, y, 4 * n) ? 200 : 60));
    const filmed = picture.data.slice();
    denoiser.apply(picture);
    assert.deepEqual(picture.data, filmed);
  }
});

test("another picture, or another size, comes through at once", () => {
  const denoiser = new Denoiser();
  // The last is a phone that was turned.
  for (const [shade, width, height] of [[60, WIDTH, HEIGHT], [200, WIDTH, HEIGHT], [202, HEIGHT, WIDTH]]) {
    const turned = (/** @type {number} */ x) => shade + (x % 5);
    const picture = film(turned, width, height);
    denoiser.apply(picture);
    assert.deepEqual(picture.data, film(turned, width, height).data);
  }
});
