// @ts-check
/** How frames are to look beside their style: strength, brush, kept colours, and a second style mixed in. */

import { $, make } from "./dom.js";
import { remember } from "./prefs.js";

/** @typedef {import("./state.js").PageState} PageState */

/** A slider gives 60 values a second; the painters need no more than this many ms apart. */
const LOOK_EVERY_MS = 80;
/** The brush's slider counts quarters of a doubling: -4 is 0.5, 0 is 1, 8 is 4. */
const STEPS = 4;

/** A slider's place as a brush. @param {number} place */
export function brushAt(place) {
  return Math.round(100 * 2 ** (place / STEPS)) / 100;
}

/** A brush as its slider's place. @param {number} brush */
export function placeOf(brush) {
  return Math.round(STEPS * Math.log2(brush));
}

/** @param {PageState} studio */
export function wireLook(studio) {
  const [strength, brush, share, keep] = ["strength", "brush", "share", "keep-colours"].map((id) => /** @type {HTMLInputElement} */ ($(id)));
  const mix = /** @type {HTMLSelectElement} */ ($("mix"));
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const show = () => {
    $("strength-value").textContent = `${strength.value} %`;
    $("brush-value").textContent = `× ${brushAt(Number(brush.value))}`;
    brush.setAttribute("aria-valuetext", `${brushAt(Number(brush.value))} times`);
    share.disabled = !mix.value;
    share.title = share.ariaValueText = `${share.value}0 % of the second style`;
    for (const range of [strength, brush, share]) range.style.setProperty("--filled", `${filled(range)}%`);
  };
  const send = () => {
    timer = undefined;
    const look = { strength: Number(strength.value) / 100, keepColours: keep.checked, brush: brushAt(Number(brush.value)), mix: mix.value, share: Number(share.value) / 10 };
    remember(look);
    studio.setLook(look);
  };
  const changed = () => {
    show();
    timer ??= setTimeout(send, LOOK_EVERY_MS);
  };
  strength.value = String(Math.round(studio.look.strength * 100));
  brush.value = String(placeOf(studio.look.brush));
  share.value = String(Math.round(studio.look.share * 10));
  keep.checked = studio.look.keepColours;
  studio.addEventListener("change", () => offer(studio, mix, show));
  for (const control of [strength, brush, share, mix, keep]) control.addEventListener("input", changed);
  show();
}

/** Fill the second styles in once they are known. @param {PageState} studio @param {HTMLSelectElement} mix @param {() => void} show */
function offer(studio, mix, show) {
  if (mix.options.length === studio.styles.length + 1) return;
  const names = studio.styles.map((style) => style.name);
  mix.replaceChildren(make("option", { value: "" }, "No mix"), ...names.map((name) => make("option", { value: name }, `+ ${name}`)));
  mix.value = names.includes(studio.look.mix) ? studio.look.mix : "";
  show();
}

/** @param {HTMLInputElement} range */
function filled({ value, min, max }) {
  return (100 * (Number(value) - Number(min))) / (Number(max) - Number(min));
}
