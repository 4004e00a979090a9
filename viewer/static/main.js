// @ts-check
/** Wires the page: the connection, what is wanted (studio), what is drawn (screen), and the controls around it. */

import { Batch } from "./batch.js";
import { Camera } from "./camera.js";
import { Divider } from "./compare.js";
import { choose, wireDock } from "./dock.js";
import { $, addIcons } from "./dom.js";
import { watchIdle } from "./idle.js";
import { Insight } from "./stats_panel.js";
import { Recorder, snapshot, toggleFullScreen } from "./recorder.js";
import { wireKeys } from "./keys.js";
import { notify } from "./notices.js";
import { openPanel, togglePanel, wirePanels } from "./panels.js";
import { load } from "./prefs.js";
import { readPicture } from "./protocol.js";
import { LinePanel, Traffic } from "./line_panel.js";
import { Screen } from "./screen.js";
import { Connection } from "./socket.js";
import { Sources } from "./sources.js";
import { LIVE } from "./stream_states.js";
import { supported } from "./video_support.js";
import { PageState } from "./state.js";
import { Uplink } from "./uplink.js";
import { View } from "./view.js";
import { Grid } from "./grid.js";

const painting = /** @type {HTMLCanvasElement} */ ($("painting"));
const source = /** @type {HTMLCanvasElement} */ ($("source"));
const prefs = load();
const wantedVideo = new URLSearchParams(location.search).get("video") ?? "";
const traffic = new Traffic();
const linePanel = new LinePanel();
const uplink = new Uplink();
uplink.wanted = wantedVideo;
linePanel.isWanted = !["", "off"].includes(wantedVideo);
// One after the other, so that pictures stay in order; the server has only so many of a stream on their way.
let reading = Promise.resolve();

const connection = new Connection(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`, {
  onOpen: () => {
    uplink.begin();
    connection.send({ type: "echo", at_ms: performance.now() });
    void introduce();
    studio.setLink(LIVE);
  },
  onMessage: (message) => {
    if (message.type === "line") linePanel.receive(message);
    else if (!uplink.receive(message, performance.now())) studio.receive(message);
  },
  onBinary: (message) => {
    const arrivedAt = performance.now();
    traffic.received(arrivedAt, message.size);
    reading = reading.then(() => readPicture(message, arrivedAt)).then(
      (picture) => screen.offer(picture),
      (error) => notify(`A picture could not be read: ${error.message}`, { isBad: true }),
    );
  },
  onState: (state) => state !== LIVE && studio.setLink(state),
});
const studio = new PageState((message) => connection.send(message), () => wall.tileWidth);
const screen = new Screen(painting, source, {
  ack: (stream, seq, delayMs, heldMs) => connection.send({ type: "drawn", stream, seq, delay_ms: delayMs, held_ms: heldMs }),
  lost: (stream) => connection.send({ type: "key", stream }),
  drawn: ({ header }) => {
    studio.drawn(header.stream, header.style);
    if (!studio.isGrid) view.drawn(header);
  },
  isOwn: (stream) => [...studio.own.values()].includes(stream),
});
const camera = new Camera({
  wants: (now) => studio.own.size > 0 && connection.isOpen && uplink.wants({ now, shownFps: screen.fps(now), bufferedBytes: connection.bufferedBytes }),
  coding: () => uplink.coding,
  onFrame: (encoded) => {
    const now = performance.now();
    const message = uplink.message(encoded, now);
    traffic.sent(now, message.size);
    connection.sendBinary(message);
  },
  onEnd: () => {
    sources.stop();
    notify("The camera was unplugged or taken away.", { isBad: true });
  },
});

studio.style = prefs.style;
studio.look = { strength: prefs.strength, keepColours: prefs.keepColours, brush: prefs.brush, mix: prefs.mix, share: prefs.share };

const sources = new Sources(studio, camera);
const view = new View(studio);
const wall = new Grid(studio, (style) => choose(studio, style));
const divider = new Divider();
const insight = new Insight(studio);
const recorder = new Recorder(
  painting,
  (isOn) => {
    $("tool-record").setAttribute("aria-pressed", String(isOn));
    if (isOn) notify("Recording the painting");
  },
  (isSaved, trouble) => {
    if (!trouble) return notify(isSaved ? "Recording saved" : "It was too short: there is nothing to save.");
    const what = isSaved ? "what there is of it is saved" : "before there was anything to save";
    notify(`The recording ended, ${what}: ${trouble}`, { isBad: true });
  },
);
new Batch(studio);

/** Say what this page decodes; "off": nothing, and have everything as painted, as programs do. */
async function introduce() {
  if (wantedVideo === "off") return;
  const video = await supported("VideoDecoder", { optimizeForLatency: true }, wantedVideo);
  linePanel.hasVideo = video.length > 0;
  uplink.codecs = await supported("VideoEncoder", { width: 640, height: 480, bitrate: 1e6, latencyMode: "realtime" }, wantedVideo);
  connection.send({ type: "can", video, always: wantedVideo !== "" });
}

/** Draw what is wanted now. */
function arrange() {
  const canvases = wall.hang(studio.isGrid);
  if (studio.isGrid) screen.showTiles(canvases);
  else screen.showOne([...studio.shown.values()][0] ?? "");
  divider.show(studio.isComparing && !studio.isGrid);
  if (recorder.isOn && (studio.isGrid || studio.source.kind === "none")) recorder.stop();
  view.tell();
}

/** Once a second: the figures. */
function tick() {
  const now = performance.now();
  const stream = [...studio.shown.values()][0] ?? "";
  const reading = screen.read(stream, now);
  view.read(reading, recorder.length);
  wall.tell((name) => screen.read(name, now));
  insight.tick(reading);
  linePanel.cameraCodec = uplink.words;
  if (camera.isOn) connection.send({ type: "echo", at_ms: now });
  linePanel.tick(stream, traffic.read(now));
}

const shoot = () => {
  if (studio.source.kind === "none") return void notify("Nothing is shown yet.");
  void snapshot(studio.isGrid ? wall.canvases : [painting], studio.isGrid ? "all-styles" : studio.style);
  notify("Snapshot saved");
};
const record = () => {
  if (recorder.isOn) return recorder.stop();
  if (studio.source.kind === "none" || studio.isGrid) return notify("Show one painting first: a film is recorded from one picture.");
  try {
    recorder.start(studio.style);
  } catch (error) {
    notify(/** @type {Error} */ (error).message, { isBad: true });
  }
};
const compare = () => studio.setCompare(!studio.isComparing);
const grid = () => {
  if (studio.source.kind !== "camera") return notify("All styles at once need your camera: start it first.");
  studio.setGrid(!studio.isGrid);
};
const home = () => (camera.isOn ? sources.stop() : studio.show({ kind: "none", stream: "" }));

addIcons(document);
wirePanels();
wireDock(studio);
wireKeys([
  { keys: [..."123456789"], words: "Paint in the style of that place", run: (key) => studio.styles[Number(key) - 1] && choose(studio, studio.styles[Number(key) - 1].name) },
  { keys: [" "], words: "Camera on or off", run: () => sources.toggle() },
  { keys: ["c"], words: "Compare with the source; arrows move the divider", run: compare },
  { keys: ["g"], words: "All styles at once", run: grid },
  { keys: ["s"], words: "Snapshot as PNG", run: shoot },
  { keys: ["r"], words: "Record, and save the film", run: record },
  { keys: ["f"], words: "Full screen", run: () => void toggleFullScreen() },
  { keys: ["m"], words: "Mirror the camera", run: () => sources.setMirror(!camera.mirror) },
  { keys: ["v"], words: "Camera and streams", run: () => togglePanel("sources") },
  { keys: ["b"], words: "Paint files", run: () => togglePanel("batch") },
  { keys: ["i"], words: "What is going on", run: () => togglePanel("insight") },
  { keys: ["?"], words: "These shortcuts", run: () => $("tool-help").click() },
]);
$("home").addEventListener("click", home);
$("tool-compare").addEventListener("click", compare);
$("tool-grid").addEventListener("click", grid);
$("tool-snapshot").addEventListener("click", shoot);
$("tool-record").addEventListener("click", record);
$("tool-full").addEventListener("click", () => void toggleFullScreen());
studio.addEventListener("change", arrange);
studio.addEventListener("complaint", (event) => notify(/** @type {CustomEvent} */ (event).detail, { isBad: true }));
document.addEventListener("visibilitychange", () => studio.setAsleep(document.hidden));
addEventListener("pagehide", () => {
  camera.stop();
  screen.stop();
  connection.stop();
});
// A page that comes back from the browser's cache has lost its socket and its camera.
addEventListener("pageshow", (event) => event.persisted && location.reload());
addEventListener("panel", tick);
watchIdle(() => studio.state === LIVE && !openPanel());
setInterval(tick, 1000);
connection.start();
