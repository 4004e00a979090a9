// @ts-check
/** The states a watcher can be in, their words for the eye and the ear, and which of several is worth saying. */

export const READY = "ready";
export const NOBODY = "no worker";
export const CONNECTING = "connecting";
export const WAITING = "waiting for a worker";
export const LIVE = "live";
export const STALLED = "stalled";
export const NO_WORKER = "no worker for this style";
export const OLD_WORKERS = "workers too old for this stream";
export const SERVER_GONE = "server gone";
export const PAGE_SERVER_GONE = "page server gone";

/** @typedef {"quiet" | "wait" | "live" | "bad"} Tone */

/** @type {{[state: string]: {words: string, tone: Tone, more: string}}} */
const SAID = {
  [READY]: { words: "Ready", tone: "quiet", more: "" },
  [NOBODY]: { words: "No worker yet", tone: "wait", more: "" },
  [CONNECTING]: { words: "Connecting", tone: "wait", more: "" },
  [WAITING]: { words: "Waiting for a worker", tone: "wait", more: "The first frame is on its way to a painter." },
  [LIVE]: { words: "Live", tone: "live", more: "" },
  [STALLED]: { words: "Stalled", tone: "bad", more: "No frame has come back for a while. It goes on by itself." },
  [NO_WORKER]: { words: "No worker for this style", tone: "bad", more: "" },
  [OLD_WORKERS]: { words: "The workers are too old", tone: "bad", more: "" },
  [SERVER_GONE]: { words: "Server gone", tone: "bad", more: "The frame server does not answer. It goes on by itself once it does." },
  [PAGE_SERVER_GONE]: { words: "Connection lost", tone: "bad", more: "Trying again; the camera stays on." },
};

/** @param {string} state @param {string} [why] the server's own reason, in place of ours */
export function describe(state, why = "") {
  const said = SAID[state] ?? { words: state, tone: "quiet", more: "" };
  return why ? { ...said, more: why[0].toUpperCase() + why.slice(1) } : said;
}

/**
 * One state for several streams: live if any is, else the worst.
 * @param {string[]} states
 */
export function summary(states) {
  const order = [LIVE, SERVER_GONE, NO_WORKER, OLD_WORKERS, STALLED, WAITING, CONNECTING];
  return order.find((state) => states.includes(state)) ?? READY;
}
