/** The camera's way up: a line of the test's own, whose width and trip are known; times are counted. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Line, MAX_BPS, MIN_BPS } from "../../viewer/static/line.js";
import { Uplink } from "../../viewer/static/uplink.js";

const JPEG_BYTES = 50_000;

/** Send 24 pictures a second for so long through a first-in-first-out line; return the delays. */
function run(line, seconds, { bps, trip, from = 0 }) {
  const delays = [];
  const onWay = [];
  let free = 0;
  line.note(from, trip);
  for (let now = from; now < from + seconds * 1000; now += 1000 / 24) {
    while (onWay.length && onWay[0].at <= now) {
      const { at, sent, bytes } = onWay.shift();
      line.acknowledged({ at, sent, bytes, needs: JPEG_BYTES * 8 * 24 });
      delays.push(at - sent);
    }
    if (onWay.length >= line.window(24)) continue;
    const bytes = line.isCoded ? Math.round(line.bps / 8 / 24) : JPEG_BYTES;
    free = Math.max(free, now) + (bytes * 8000) / bps;
    onWay.push({ at: free + trip, sent: now, bytes });
  }
  return delays.sort((a, b) => a - b);
}

test("on a wide line pictures go up as JPEGs, a round trip's worth at once", () => {
  for (const trip of [0.5, 50, 200]) {
    const line = new Line();
    const delays = run(line, 20, { bps: 1e9, trip });
    assert.equal(line.isCoded, false);
    assert.ok(delays.length > 19 * 24 - 6, `${trip} ms: ${delays.length}`);
  }
});

test("a thin line is filled and its delay is bounded", () => {
  for (const [bps, trip] of [[1.5e6, 60], [600_000, 100]]) {
    const line = new Line();
    run(line, 5, { bps, trip });
    const delays = run(line, 20, { bps, trip, from: 5000 });
    assert.ok(line.isCoded);
    assert.ok(line.bps > 0.5 * bps && line.bps < 1.3 * bps, `${line.bps} of ${bps}`);
    assert.ok(delays[Math.floor(0.95 * delays.length)] < 400);
  }
});

test("the rate stays between its bounds", () => {
  const line = new Line();
  run(line, 10, { bps: 50_000, trip: 100 });
  assert.ok(line.bps >= MIN_BPS);
  run(line, 60, { bps: 4e6, trip: 20, from: 10_000 });
  assert.ok(line.bps <= MAX_BPS);
});

test("as video the first picture is a key frame, and again when the server lost one", () => {
  const uplink = new Uplink();
  uplink.wanted = "h264";
  uplink.codecs = ["h264"];
  uplink.begin();
  assert.equal(uplink.coding.video.isKey, true);
  const chunk = { capturedMs: 5, jpeg: null, chunk: new ArrayBuffer(9), isKey: true, codec: "h264", pixels: 4 };
  assert.equal(uplink.message(chunk, 10).size, 20);
  assert.equal(uplink.coding.video.isKey, false);
  uplink.lost();
  assert.equal(uplink.coding.video.isKey, true);
});

test("nothing more is sent before the first picture was taken, and a lost answer is not waited for", () => {
  const uplink = new Uplink();
  uplink.begin();
  const facts = (now) => ({ now, shownFps: 24, bufferedBytes: 0 });
  assert.ok(uplink.wants(facts(0)));
  uplink.message({ capturedMs: 0, jpeg: new Blob([new Uint8Array(99)]), chunk: null, isKey: false, codec: "", pixels: 4 }, 0);
  assert.equal(uplink.wants(facts(100)), false);
  uplink.took(0, 1);
  assert.ok(uplink.wants(facts(150)));
  uplink.message({ capturedMs: 1, jpeg: new Blob([new Uint8Array(99)]), chunk: null, isKey: false, codec: "", pixels: 4 }, 150);
  uplink.message({ capturedMs: 2, jpeg: new Blob([new Uint8Array(99)]), chunk: null, isKey: false, codec: "", pixels: 4 }, 190);
  assert.equal(uplink.wants(facts(230)), false);
  assert.ok(uplink.wants(facts(2300)));
});
