// @ts-check
/** Panels beside the painting: one open at a time, opened by its tool, closed by Escape; focus goes in and back. */

import { $ } from "./dom.js";

const NAMES = ["sources", "batch", "insight"];

/** Name of the open panel, "" when none. */
export function openPanel() {
  return NAMES.find((name) => !$(name).hidden) ?? "";
}

/** @param {string} name "": close whatever is open */
export function showPanel(name) {
  const before = openPanel();
  for (const one of NAMES) {
    $(one).hidden = one !== name;
    $(`tool-${one}`).setAttribute("aria-expanded", String(one === name));
  }
  if (name) $(name).querySelector("button")?.focus({ preventScroll: true });
  else if (before) $(`tool-${before}`).focus({ preventScroll: true });
  dispatchEvent(new CustomEvent("panel", { detail: name }));
}

/** @param {string} name */
export function togglePanel(name) {
  showPanel(openPanel() === name ? "" : name);
}

export function wirePanels() {
  for (const name of NAMES) {
    $(`tool-${name}`).addEventListener("click", () => togglePanel(name));
    $(name).querySelector(".close")?.addEventListener("click", () => showPanel(""));
  }
  const help = /** @type {HTMLDialogElement} */ ($("help"));
  $("tool-help").addEventListener("click", () => help.showModal());
  help.querySelector(".close")?.addEventListener("click", () => help.close());
}
