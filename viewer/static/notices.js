// @ts-check
/** Short words to the eye (a card that leaves by itself) and to the ear (the live region). */

import { $, make } from "./dom.js";

const SHOWN_MS = 6000;
const MOST = 3;

/** Say it to a screen reader. @param {string} text */
export function announce(text) {
  $("announcer").textContent = text;
}

/** Show and say it. @param {string} text @param {{isBad?: boolean}} [options] */
export function notify(text, { isBad = false } = {}) {
  const place = $("notices");
  const card = make("p", { class: isBad ? "notice is-bad" : "notice" }, text);
  place.append(card);
  while (place.children.length > MOST) place.firstElementChild?.remove();
  setTimeout(() => card.remove(), SHOWN_MS);
  announce(text);
}
