/** The binary messages, byte for byte as docs/protocol.md has them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { cameraFrame, readPicture } from "../../viewer/static/protocol.js";

const HEADER = { stream: "hall", seq: 7, pts: 1234, w: 4, h: 3, queue_ms: 1, decode_ms: 1, paint_ms: 2, encode_ms: 3, style: "wave", worker: "w" };

function message(header, painted, source, kind = 2) {
  const json = new TextEncoder().encode(JSON.stringify({ ...header, size: painted.length, source_size: source.length }));
  const head = new Uint8Array(3);
  head[0] = kind;
  new DataView(head.buffer).setUint16(1, json.length, true);
  return new Blob([head, json, painted, source]);
}

const bytes = async (blob) => [...new Uint8Array(await blob.arrayBuffer())];

test("a camera frame is its kind, its time as float64 little endian, its JPEG", async () => {
  const sent = await bytes(cameraFrame(1.5, new Blob([new Uint8Array([9, 8])])));
  assert.deepEqual(sent, [1, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 9, 8]);
});

test("a picture comes apart into header, painting and source", async () => {
  const { header, painted, source } = await readPicture(message(HEADER, new Uint8Array([1, 2, 3]), new Uint8Array([4])));
  assert.equal(header.stream, "hall");
  assert.equal(header.pts, 1234);
  assert.deepEqual(await bytes(painted), [1, 2, 3]);
  assert.deepEqual(await bytes(source), [4]);
  assert.equal(painted.type, "image/jpeg");
});

test("without a source there is none", async () => {
  const { source } = await readPicture(message(HEADER, new Uint8Array([1]), new Uint8Array()));
  assert.equal(source, null);
});

test("a header longer than the first read is read whole", async () => {
  const { header, painted } = await readPicture(message({ ...HEADER, worker: "w".repeat(5000) }, new Uint8Array([1]), new Uint8Array()));
  assert.equal(header.worker.length, 5000);
  assert.deepEqual(await bytes(painted), [1]);
});

test("another kind and a message cut short are refused", async () => {
  const whole = message(HEADER, new Uint8Array([1, 2, 3]), new Uint8Array());
  await assert.rejects(readPicture(message(HEADER, new Uint8Array([1]), new Uint8Array(), 9)), RangeError);
  await assert.rejects(readPicture(whole.slice(0, whole.size - 1)), RangeError);
  await assert.rejects(readPicture(new Blob([new Uint8Array([2])])), RangeError);
});
