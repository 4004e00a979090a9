/** The engine without a browser: decoding and the screen's clock are the test's own, so each order can be tried. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Player } from "../../viewer/static/player.js";

/** A browser whose decoder and screen do nothing until told. */
function stage(context) {
  const open = new Set();
  const decodes = [];
  const frames = [];
  globalThis.createImageBitmap = (jpeg) =>
    new Promise((resolve, reject) => {
      const bitmap = { jpeg, width: 4, height: 3, close: () => open.delete(bitmap) };
      decodes.push({ jpeg, done: () => (open.add(bitmap), resolve(bitmap)), fail: () => reject(new Error("no JPEG")) });
    });
  globalThis.requestAnimationFrame = (callback) => frames.push(callback);
  globalThis.cancelAnimationFrame = () => frames.splice(0);
  context.after(() => ["createImageBitmap", "requestAnimationFrame", "cancelAnimationFrame"].forEach((name) => delete globalThis[name]));
  const drawn = [];
  const canvas = { width: 0, height: 0, getContext: () => ({ drawImage: (bitmap) => assert.ok(open.has(bitmap), "drawn after close") }) };
  const player = new Player(canvas, null, ({ header }) => drawn.push(header.seq));
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const picture = (seq) => ({ header: { seq, w: 8, h: 6 }, painted: seq, source: null, chunk: null });
  return { player, canvas, decodes, frames, drawn, open, settle, picture, tick: () => frames.splice(0).forEach((frame) => frame()) };
}

test("while one picture is decoded only the newest waits, the others are counted", async (context) => {
  const { player, decodes, drawn, settle, picture, tick } = stage(context);
  for (const seq of [1, 2, 3, 4]) player.offer(picture(seq));
  assert.deepEqual(decodes.map(({ jpeg }) => jpeg), [1]);
  decodes[0].done();
  await settle();
  tick();
  assert.deepEqual(decodes.map(({ jpeg }) => jpeg), [1, 4]);
  decodes[1].done();
  await settle();
  tick();
  assert.deepEqual(drawn, [1, 4]);
  assert.equal(player.skipped, 2);
});

test("a decoded picture overtaken before the screen's next frame is closed, not drawn", async (context) => {
  const { player, decodes, drawn, open, settle, picture, tick, frames } = stage(context);
  for (const seq of [1, 2]) {
    player.offer(picture(seq));
    decodes.at(-1).done();
    await settle();
  }
  assert.equal(frames.length, 1);
  tick();
  assert.deepEqual(drawn, [2]);
  assert.equal(player.skipped, 1);
  assert.equal(open.size, 0);
});

test("a broken picture is counted and the next one is shown", async (context) => {
  const { player, decodes, drawn, settle, picture, tick } = stage(context);
  player.offer(picture(1));
  decodes[0].fail();
  await settle();
  player.offer(picture(2));
  decodes[1].done();
  await settle();
  tick();
  assert.deepEqual(drawn, [2]);
  assert.equal(player.skipped, 1);
});

test("after stop nothing is drawn and no bitmap stays open", async (context) => {
  const { player, decodes, drawn, open, settle, picture, tick } = stage(context);
  player.offer(picture(1));
  player.stop();
  decodes[0].done();
  await settle();
  tick();
  player.offer(picture(2));
  assert.deepEqual(drawn, []);
  assert.equal(open.size, 0);
  assert.equal(decodes.length, 1);
});

test("the canvas is as large as the painting, whatever size it was sent in", async (context) => {
  const { player, canvas, decodes, settle, picture, tick } = stage(context);
  player.offer(picture(1));
  decodes[0].done();
  await settle();
  tick();
  assert.deepEqual([canvas.width, canvas.height], [8, 6]);
});
