// @ts-check
/** Styles chosen by their pictures. A radio group: arrows move, digits jump. */

import { $, make, picture, plate } from "./dom.js";
import { wireLook } from "./look.js";
import { remember } from "./prefs.js";

/** @typedef {import("./state.js").PageState} PageState */

/** @param {PageState} studio */
export function wireDock(studio) {
  const group = $("styles");
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    // A held key repeats 30 times a second; the server hangs up on a page that says more than 40 things in one.
    if (event.repeat) return;
    const names = studio.styles.map((style) => style.name);
    choose(studio, names[(names.indexOf(studio.style) + step + names.length) % names.length]);
    /** @type {HTMLElement | null} */ (group.querySelector("[aria-checked=true]"))?.focus();
  });
  wireLook(studio);
  let drawn = "";
  studio.addEventListener("change", () => {
    const names = studio.styles.map((style) => style.name).join();
    if (names !== drawn) group.replaceChildren(...studio.styles.map((style, index) => button(studio, style, index)));
    drawn = names;
    mark(studio);
  });
}

/** @param {PageState} studio @param {string} style */
export function choose(studio, style) {
  remember({ style });
  studio.choose(style);
}

/** @param {PageState} studio @param {import("./state.js").StyleCard} style @param {number} index */
function button(studio, style, index) {
  const by = style.painter ? `, ${style.painter}` : "";
  const title = `${style.painting || style.name}${by} (${index + 1})`;
  const made = make("button", { class: "style", type: "button", role: "radio", title, "aria-label": `${style.painting || style.name}${by}`, "data-style": style.name }, picture(style.name, 72), make("span", {}, style.name));
  made.addEventListener("click", () => choose(studio, style.name));
  return made;
}

/** @param {PageState} studio */
function mark(studio) {
  for (const element of $("styles").children) {
    const one = /** @type {HTMLElement} */ (element);
    const isChosen = one.dataset.style === studio.style && !studio.isGrid;
    one.setAttribute("aria-checked", String(isChosen));
    one.tabIndex = one.dataset.style === studio.style ? 0 : -1;
    one.classList.toggle("is-pending", one.dataset.style === studio.pendingStyle);
  }
  const card = studio.styles.find((style) => style.name === studio.style);
  const hung = $("hung-picture");
  if (card && hung.dataset.hung !== card.name) {
    hung.dataset.hung = card.name;
    hung.replaceChildren(picture(card.name, 256));
    $("hung-label").replaceChildren(...plate(card));
  }
}
