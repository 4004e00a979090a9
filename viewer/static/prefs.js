// @ts-check
/** What this browser remembers between visits. A full or forbidden storage costs the memory, nothing else. */

const KEY = "power-painter";

export const DEFAULTS = {
  style: "",
  strength: 1,
  keepColours: false,
  brush: 1,
  mix: "",
  share: 0.5,
  mirror: true,
  resolution: "640x480",
  deviceId: "",
  fit: "auto",
};

/** @returns {typeof DEFAULTS} */
export function load() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return { ...DEFAULTS };
  }
}

/** @param {Partial<typeof DEFAULTS>} changes */
export function remember(changes) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...load(), ...changes }));
  } catch {
    // Private windows may refuse; the page works without.
  }
}
