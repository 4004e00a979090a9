/** A recording whose browser gives up: the page says so, and keeps what there is. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Recorder } from "../../viewer/static/recorder.js";

/** A browser that records, and where the test says what becomes of it. */
function stage(context, film = "film") {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const made = [];
  const saved = [];
  globalThis.MediaRecorder = class {
    static isTypeSupported = () => true;
    state = "recording";
    stream = { getTracks: () => [] };
    constructor() {
      made.push(this);
    }
    start() {}
    stop() {
      this.state = "inactive";
      this.onstop();
    }
  };
  const link = { click: () => saved.push(link.download), remove: () => {}, setAttribute: (name, value) => (link[name] = value), append: () => {} };
  globalThis.document = { createElement: () => link, body: { append: () => {} } };
  context.after(() => ["MediaRecorder", "document"].forEach((name) => delete globalThis[name]));
  const told = [];
  const recorder = new Recorder(
    { captureStream: () => ({}) },
    (isOn) => told.push(isOn ? "on" : "off"),
    (isSaved, trouble) => told.push([isSaved, trouble]),
  );
  recorder.start("wave");
  if (film) made[0].ondataavailable({ data: new Blob([film]) });
  return { recorder, made, saved, told };
}

test("a recording that the browser ends is over, said with its reason, and saved", (context) => {
  const { recorder, made, saved, told } = stage(context);
  made[0].onerror({ error: { message: "no space left" } });
  made[0].stop();
  assert.equal(recorder.isOn, false);
  assert.deepEqual(told, ["on", "off", [true, "no space left"]]);
  assert.equal(saved.length, 1);
});

test("a recording that the visitor ends is no trouble", (context) => {
  const { recorder, saved, told } = stage(context);
  recorder.stop();
  assert.deepEqual(told, ["on", "off", [true, ""]]);
  assert.equal(saved.length, 1);
});

test("a recording without a byte is not said to be saved", (context) => {
  const { recorder, saved, told } = stage(context, "");
  recorder.stop();
  assert.deepEqual(told, ["on", "off", [false, ""]]);
  assert.equal(saved.length, 0);
});
