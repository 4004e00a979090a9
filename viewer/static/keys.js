// @ts-check
/** Keyboard shortcuts, and the dialog that lists them. */

import { $, make } from "./dom.js";
import { openPanel, showPanel } from "./panels.js";

/** @typedef {{keys: string[], words: string, run: (key: string) => void}} Shortcut */

/** @param {Shortcut[]} shortcuts keys as `KeyboardEvent.key`, lower case */
export function wireKeys(shortcuts) {
  const byKey = new Map(shortcuts.flatMap((shortcut) => shortcut.keys.map((key) => [key, shortcut])));
  addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey || event.altKey || $("help").hasAttribute("open")) return;
    if (key === "escape" && openPanel()) return showPanel("");
    if (target.matches("input:not([type=range]):not([type=checkbox]), select, textarea")) return;
    if (key === " " && target !== document.body) return; // Space presses what has the focus.
    const shortcut = byKey.get(key);
    if (!shortcut || event.repeat) return;
    event.preventDefault();
    shortcut.run(key);
  });
  for (const { keys, words } of shortcuts) {
    const shown = keys.length > 3 ? [keys[0], "–", keys[keys.length - 1]] : keys;
    const caps = shown.map((key) => (key === "–" ? key : make("kbd", {}, key === " " ? "Space" : key.toUpperCase())));
    $("keys").append(make("dt", {}, ...caps), make("dd", {}, words));
  }
}
