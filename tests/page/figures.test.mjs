/** Rates, percentiles, waiting times and words: pure, so each is a table. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { retryDelay } from "../../viewer/static/backoff.js";
import { fitted } from "../../viewer/static/camera.js";
import { mayCapture } from "../../viewer/static/throttle.js";
import { Meter, percentile, rate, sizeWords, words } from "../../viewer/static/stats.js";

test("a rate counts intervals, not ticks", () => {
  assert.equal(rate([0, 100, 200, 300]), 10);
  assert.equal(rate([0, 100]), 10);
  assert.equal(rate([5]), 0);
  assert.equal(rate([5, 5]), 0);
});

test("percentiles are of what was measured, and nothing has none", () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  assert.equal(percentile(values, 50), 50);
  assert.equal(percentile(values, 95), 95);
  assert.equal(percentile([7], 95), 7);
  assert.equal(percentile([null, 3, null], 50), 3);
  assert.equal(percentile([null], 50), null);
});

test("a meter forgets what is older than its window and keeps no more than its bound", () => {
  const meter = new Meter({ windowMs: 1000, most: 50 });
  for (let at = 0; at <= 5000; at += 100) meter.add({ at, delay: at });
  const { fps, p50 } = meter.read(5000);
  assert.equal(fps, 10);
  assert.equal(p50, 4500);
  assert.deepEqual(meter.read(60_000), { fps: 0, p50: null, p95: null });
});

test("a stream of another clock has a rate and no delay", () => {
  const meter = new Meter();
  for (const at of [0, 50, 100]) meter.add({ at, delay: null });
  assert.deepEqual(meter.read(100), { fps: 20, p50: null, p95: null });
});

test("waiting grows, is bounded and never in step", () => {
  for (let attempt = 0; attempt < 40; attempt += 1) {
    const [least, most] = [retryDelay(attempt, 0), retryDelay(attempt, 1)];
    assert.ok(least >= 200 && most <= 10_000 && most === 2 * least, `attempt ${attempt}: ${least} to ${most}`);
    assert.ok(retryDelay(attempt + 1, 0) >= least);
  }
});

test("frames are sent half again as often as they come back, and never behind a full socket", () => {
  const facts = { now: 1000, lastSent: 0, shownFps: 0, bufferedBytes: 0 };
  assert.equal(mayCapture(facts), true);
  assert.equal(mayCapture({ ...facts, bufferedBytes: 1 << 20 }), false);
  assert.equal(mayCapture({ ...facts, lastSent: 1000 - 60 }), false, "nothing came back yet: 8 a second");
  assert.equal(mayCapture({ ...facts, lastSent: 1000 - 60, shownFps: 10 }), true, "10 come back: 17 a second");
  assert.equal(mayCapture({ ...facts, lastSent: 1000 - 20, shownFps: 500 }), false, "never more than 30");
});

test("a camera's picture fits the wanted size either way up and is never enlarged", () => {
  const bounds = { width: 640, height: 480 };
  assert.deepEqual(fitted(1280, 720, bounds), { width: 640, height: 360 });
  assert.deepEqual(fitted(720, 1280, bounds), { width: 360, height: 640 });
  assert.deepEqual(fitted(320, 240, bounds), { width: 320, height: 240 });
});

test("durations and sizes are short words", () => {
  assert.deepEqual([null, 8.44, 86.4, 1234].map(words), ["–", "8.4 ms", "86 ms", "1.2 s"]);
  assert.deepEqual([0, 2048, 290 << 20].map(sizeWords), ["0 bytes", "2 KB", "290 MB"]);
});
