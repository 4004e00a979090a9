/** What the page asks of the server: said once a change, and all of it again after a reconnect. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { cameraObstacle, cameraRefusal } from "../../viewer/static/camera_access.js";
import { LIVE, NO_WORKER, OLD_WORKERS, PAGE_SERVER_GONE, READY, SERVER_GONE, STALLED, WAITING, describe, summary } from "../../viewer/static/stream_states.js";
import { PageState } from "../../viewer/static/state.js";

const STYLES = ["starry", "wave"].map((name) => ({ name, painting: "", painter: "", year: "" }));

function open() {
  const sent = [];
  const studio = new PageState((message) => sent.push(message));
  studio.setLink(LIVE);
  studio.receive({ type: "hello", styles: STYLES });
  return { studio, sent, take: () => sent.splice(0) };
}

function onCamera() {
  const opened = open();
  opened.studio.choose("wave");
  opened.studio.show({ kind: "camera", stream: "" });
  opened.studio.receive({ type: "camera", streams: { wave: "cam-1" } });
  opened.take();
  return opened;
}

test("a camera is opened in the chosen style, and its stream watched once the server named it", () => {
  const { studio, take } = open();
  studio.choose("wave");
  studio.show({ kind: "camera", stream: "" });
  assert.deepEqual(take(), [{ type: "camera", styles: ["wave"], strength: 1, keep_colours: false, brush: 1 }]);
  studio.receive({ type: "camera", streams: { wave: "cam-1" } });
  assert.deepEqual(take(), [{ type: "watch", streams: ["cam-1"], compare: false }]);
});

test("nothing is said twice", () => {
  const { studio, take } = onCamera();
  studio.choose("wave");
  studio.receive({ type: "streams", streams: [] });
  studio.setLook({ strength: 1, keepColours: false, brush: 1, mix: "", share: 0.5 });
  assert.deepEqual(take(), []);
});

test("another style keeps the stream on the screen until its first picture", () => {
  const { studio, take } = onCamera();
  studio.choose("starry");
  assert.deepEqual(take(), [{ type: "camera", styles: ["starry"], strength: 1, keep_colours: false, brush: 1 }]);
  assert.equal(studio.pendingStyle, "starry");
  assert.deepEqual([...studio.shown.values()], ["cam-1"]);
  studio.drawn("cam-1", "wave");
  assert.equal(studio.pendingStyle, "starry");
  studio.drawn("cam-1", "starry");
  assert.equal(studio.pendingStyle, "");
});

test("a second style is mixed in unless it is the first, or all are shown", () => {
  const { studio, take } = onCamera();
  studio.setLook({ ...studio.look, mix: "starry", share: 0.4 });
  assert.deepEqual(take(), [{ type: "camera", styles: ["wave"], strength: 1, keep_colours: false, brush: 1, mix: "starry", share: 0.4 }]);
  studio.choose("starry");
  assert.deepEqual(take(), [{ type: "camera", styles: ["starry"], strength: 1, keep_colours: false, brush: 1 }]);
});

test("the grid asks for every style, and a chosen style leaves it", () => {
  const { studio, take } = onCamera();
  studio.setGrid(true);
  studio.receive({ type: "camera", streams: { wave: "cam-1", starry: "cam-1.starry" } });
  const [camera, watch] = take();
  assert.deepEqual(camera.styles, ["starry", "wave"]);
  assert.deepEqual(watch.streams, ["cam-1", "cam-1.starry"]);
  studio.choose("starry");
  assert.equal(studio.isGrid, false);
  assert.deepEqual([...studio.shown.values()], ["cam-1.starry"]);
});

test("after a reconnect everything is told again, streams excepted, which are new", () => {
  const { studio, take } = onCamera();
  studio.setLink(PAGE_SERVER_GONE);
  assert.equal(studio.state, PAGE_SERVER_GONE);
  studio.setLink(LIVE);
  assert.deepEqual(take(), [{ type: "camera", styles: ["wave"], strength: 1, keep_colours: false, brush: 1 }]);
  studio.receive({ type: "camera", streams: { wave: "cam-2" } });
  assert.deepEqual(take(), [{ type: "watch", streams: ["cam-2"], compare: false }]);
});

test("leaving the camera closes it and stops watching", () => {
  const { studio, take } = onCamera();
  studio.show({ kind: "none", stream: "" });
  assert.deepEqual(take(), [{ type: "camera_off" }, { type: "watch", streams: [], compare: false }]);
  assert.equal(studio.state, READY);
});

test("a page nobody looks at watches nothing, and goes on when looked at", () => {
  const { studio, take } = onCamera();
  studio.setAsleep(true);
  studio.setAsleep(false);
  assert.deepEqual(take().map((message) => message.streams), [[], ["cam-1"]]);
});

test("a stream made elsewhere is wished for, not commanded, and another's wish is followed", () => {
  const { studio, take } = open();
  studio.receive({ type: "streams", streams: [{ name: "hall", style: "wave" }] });
  studio.show({ kind: "stream", stream: "hall" });
  assert.equal(studio.style, "wave");
  assert.deepEqual(take(), [{ type: "watch", streams: ["hall"], compare: false }]);
  studio.choose("starry");
  assert.deepEqual(take(), [{ type: "wish", stream: "hall", style: "starry", strength: 1, keep_colours: false, brush: 1 }]);
  studio.drawn("hall", "starry");
  studio.drawn("hall", "wave");
  assert.equal(studio.style, "wave");
});

test("a stream that ended is said so and left, but not while the server is away", () => {
  const { studio } = open();
  const complaints = [];
  studio.addEventListener("complaint", (event) => complaints.push(event.detail));
  studio.receive({ type: "streams", streams: [{ name: "hall", style: "wave" }] });
  studio.show({ kind: "stream", stream: "hall" });
  studio.receive({ type: "streams", streams: [] });
  for (let second = 0; second < 9; second += 1) studio.receive({ type: "stats", connected: false });
  assert.equal(studio.source.kind, "stream");
  for (let second = 0; second < 3; second += 1) studio.receive({ type: "stats", connected: true });
  assert.equal(studio.source.kind, "none");
  assert.deepEqual(complaints, ["The stream hall has ended."]);
});

test("the state is the watched stream's", () => {
  const { studio } = onCamera();
  assert.equal(studio.state, WAITING);
  for (const state of [NO_WORKER, OLD_WORKERS, LIVE, STALLED, SERVER_GONE]) {
    studio.receive({ type: "state", stream: "cam-1", style: "wave", state });
    assert.equal(studio.state, state);
  }
});

test("why nobody paints is told in the server's words, as long as it is so", () => {
  const { studio } = onCamera();
  const why = "no worker for wave; start one: painter work --styles wave";
  studio.receive({ type: "state", stream: "cam-1", style: "wave", state: NO_WORKER, why });
  assert.equal(describe(studio.state, studio.why).more, "No worker for wave; start one: painter work --styles wave");
  studio.setLink(PAGE_SERVER_GONE);
  assert.equal(describe(studio.state, studio.why).more, describe(PAGE_SERVER_GONE).more);
  studio.setLink(LIVE);
  studio.receive({ type: "camera", streams: { wave: "cam-1" } });
  studio.receive({ type: "state", stream: "cam-1", style: "wave", state: LIVE, why: "" });
  assert.equal(studio.why, "");
});

test("of several streams one live is live, else the worst is said", () => {
  assert.equal(summary([NO_WORKER, LIVE]), LIVE);
  assert.equal(summary([WAITING, NO_WORKER]), NO_WORKER);
  assert.equal(summary([]), READY);
});

test("every state has words, an unknown one its own", () => {
  for (const state of [READY, WAITING, LIVE, STALLED, NO_WORKER, OLD_WORKERS, SERVER_GONE, PAGE_SERVER_GONE]) assert.ok(describe(state).words);
  assert.equal(describe("moved").words, "moved");
});

test("a withheld camera is explained with the page's own address", () => {
  assert.equal(cameraObstacle({ isSecureContext: true, hasMediaDevices: true, hostname: "localhost", port: "8080" }), null);
  const { reason, ways } = cameraObstacle({ isSecureContext: false, hasMediaDevices: false, hostname: "192.168.1.5", port: "8080" });
  assert.match(reason, /192\.168\.1\.5/);
  assert.match(ways.join("\n"), /localhost:8080/);
  assert.match(ways.join("\n"), /--tls-self-signed/);
  assert.ok(cameraObstacle({ isSecureContext: true, hasMediaDevices: false, hostname: "x", port: "" }));
});

test("a refused camera says what to do", () => {
  assert.match(cameraRefusal({ name: "NotAllowedError" }), /Allow it/);
  assert.match(cameraRefusal(new Error("lens cap")), /lens cap/);
});

test("a page is ready once there is somebody to paint", () => {
  const { studio } = open();
  assert.equal(studio.state, READY);
  const stats = { type: "stats", connected: true, streams: [] };
  studio.receive({ ...stats, workers: [] });
  assert.equal(describe(studio.state).words, "No worker yet");
  studio.receive({ ...stats, workers: [{ name: "wave@cpu0.desk" }] });
  assert.equal(studio.state, READY);
});
