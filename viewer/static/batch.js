// @ts-check
/** Files dropped on the page: uploaded with progress, watched while they are painted, downloaded when done. */

import { $, icon, make, picture } from "./dom.js";
import { lookFields } from "./look_fields.js";
import { notify } from "./notices.js";
import { showPanel } from "./panels.js";

/** @typedef {import("./state.js").PageState} PageState */
/** @typedef {{id: string, name: string, style: string, done: number, total: number | null, fps: number, state: string, message: string}} JobStatus */
/** @typedef {{name: string, style: string, share: number, request: XMLHttpRequest}} Upload */
/** @typedef {{file: File, name: string, style: string, look: import("./state.js").Look}} Waiting */

const POLL_MS = 1000;
const AT_ONCE = 2;
/** How long a file waits that the server had no room for: it has enough to do. */
const FULL_MS = 5000;
const FINAL = ["done", "failed", "cancelled"];

export class Batch {
  /** @type {Set<Upload>} */ #uploads = new Set();
  /** @type {Waiting[]} */ #waiting = [];
  /** @type {JobStatus[]} */ #jobs = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #studio;

  /** @param {PageState} studio */
  constructor(studio) {
    this.#studio = studio;
    const chooser = /** @type {HTMLInputElement} */ ($("file"));
    chooser.addEventListener("change", () => {
      this.take([...(chooser.files ?? [])]);
      chooser.value = "";
    });
    for (const id of ["dropzone", "choose-file"]) $(id).addEventListener("click", () => chooser.click());
    addEventListener("panel", (event) => {
      if (/** @type {CustomEvent} */ (event).detail === "batch") void this.#poll();
    });
    studio.addEventListener("change", () => this.#name());
    this.#wireDrop();
  }

  /** @param {File[]} files */
  take(files) {
    const { style, look } = this.#studio;
    this.#waiting.push(...files.map((file) => ({ file, name: file.name, style, look })));
    if (files.length) showPanel("batch");
    this.#next();
  }

  /** Send what waits, two at a time: the server takes no more at once. */
  #next() {
    while (this.#uploads.size < AT_ONCE && this.#waiting.length) this.#upload(/** @type {Waiting} */ (this.#waiting.shift()));
    this.#draw();
  }

  /** @param {Waiting} waiting */
  #upload(waiting) {
    const { file, style, look } = waiting;
    const query = new URLSearchParams(Object.entries({ style, ...lookFields(look, style) }).map(([key, value]) => [key, String(value)]));
    // fetch() cannot tell how much of a body has left.
    const request = new XMLHttpRequest();
    const upload = { name: file.name, style, share: 0, request };
    this.#uploads.add(upload);
    request.open("POST", `/api/jobs?${query}`);
    request.setRequestHeader("X-File-Name", encodeURIComponent(file.name));
    request.upload.onprogress = ({ loaded, total }) => {
      upload.share = loaded / total;
      this.#draw();
    };
    request.onloadend = () => {
      const isFull = request.status === 429;
      if (isFull) this.#waiting.unshift(waiting);
      else if (request.status >= 400 || request.status === 0) notify(`${file.name}: ${reason(request)}`, { isBad: true });
      setTimeout(
        () => {
          this.#uploads.delete(upload);
          this.#next();
          void this.#poll();
        },
        isFull ? FULL_MS : 0,
      );
    };
    request.send(file);
  }

  async #poll() {
    clearTimeout(this.#timer);
    try {
      const answer = await fetch("/api/jobs");
      if (answer.ok) this.#hear((await answer.json()).jobs);
    } catch {
      // The state line already says that the server is away.
    }
    const isBusy = this.#uploads.size > 0 || this.#jobs.some((job) => !FINAL.includes(job.state));
    if (isBusy) this.#timer = setTimeout(() => void this.#poll(), POLL_MS);
    this.#draw();
  }

  /** @param {JobStatus[]} jobs */
  #hear(jobs) {
    for (const job of jobs) {
      const before = this.#jobs.find((one) => one.id === job.id);
      if (before && before.state !== job.state && job.state === "done") notify(`${job.name} is painted`);
      if (before && before.state !== job.state && job.state === "failed") notify(`${job.name}: ${job.message}`, { isBad: true });
    }
    this.#jobs = jobs;
  }

  /** @param {string} id */
  async #remove(id) {
    await fetch(`/api/jobs/${encodeURIComponent(id)}`, { method: "DELETE" });
    await this.#poll();
  }

  #draw() {
    const rows = [...this.#jobs].reverse().map((job) => this.#row(job));
    const waiting = this.#waiting.map(({ name, style }) => line(name, style, "waits for its turn", 0, []));
    $("jobs").replaceChildren(...[...this.#uploads].map(uploading), ...waiting, ...rows);
  }

  /** @param {JobStatus} job */
  #row(job) {
    const isFinal = FINAL.includes(job.state);
    const away = make("button", { class: "close", type: "button", title: isFinal ? "Remove" : "Cancel", "aria-label": `${isFinal ? "Remove" : "Cancel"} ${job.name}` }, icon("close"));
    away.addEventListener("click", () => void this.#remove(job.id));
    const output = make("a", { class: "close", href: `/api/jobs/${encodeURIComponent(job.id)}/output`, download: "", "aria-label": `Download ${job.name}`, title: "Download" }, icon("download"));
    return line(job.name, job.style, progress(job), share(job), job.state === "done" ? [output, away] : [away]);
  }

  #name() {
    const card = this.#studio.styles.find((one) => one.name === this.#studio.style);
    for (const id of ["batch-style", "drop-style"]) $(id).textContent = card?.painting || this.#studio.style;
  }

  #wireDrop() {
    let depth = 0;
    const show = (/** @type {number} */ change) => {
      depth = Math.max(0, depth + change);
      $("drop").hidden = depth === 0;
    };
    addEventListener("dragenter", (event) => event.dataTransfer?.types.includes("Files") && show(1));
    addEventListener("dragleave", (event) => event.dataTransfer?.types.includes("Files") && show(-1));
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
      event.preventDefault();
      show(-depth);
      this.take([...(event.dataTransfer?.files ?? [])]);
    });
  }
}

/** @param {XMLHttpRequest} request */
function reason({ status, responseText }) {
  if (status === 0) return "the upload broke off";
  try {
    return JSON.parse(responseText).error ?? responseText;
  } catch {
    return responseText || `refused (${status})`;
  }
}

/** @param {JobStatus} job */
function share({ state, done, total }) {
  return state === "done" ? 1 : total ? done / total : 0;
}

/** Words on how far a job is. @param {JobStatus} job */
export function progress({ state, done, total, fps, message }) {
  if (state !== "painting") return message || state;
  if (message) return message;
  const left = total && fps > 0 ? `, ${Math.ceil((total - done) / fps)} s left` : "";
  return `${done} of ${total ?? "?"} frames, ${fps.toFixed(1)} FPS${left}`;
}

/** @param {Upload} upload */
function uploading({ name, style, share }) {
  return line(name, style, `uploading, ${Math.round(share * 100)} %`, share, []);
}

/** @param {string} name @param {string} style @param {string} words @param {number} share @param {HTMLElement[]} buttons */
function line(name, style, words, share, buttons) {
  const bar = make("i", { class: "meter" });
  bar.style.setProperty("--filled", `${share * 100}%`);
  const naming = make("span", {}, make("strong", {}, name), make("small", {}, words));
  return make("li", { class: "row" }, picture(style, 44), naming, make("span", { class: "row-buttons" }, ...buttons), bar);
}
