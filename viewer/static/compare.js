// @ts-check
/** The divider between source (left) and painting (right): dragged, or moved by the arrow keys. */

import { $ } from "./dom.js";

const KEY_STEPS = /** @type {{[key: string]: number}} */ ({ ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10, Home: -100, End: 100 });

export class Divider {
  #percent = 50;
  #picture = $("picture");
  #handle = $("divider");

  constructor() {
    this.#handle.addEventListener("pointerdown", (event) => this.#handle.setPointerCapture(event.pointerId));
    this.#handle.addEventListener("pointermove", (event) => {
      if (this.#handle.hasPointerCapture(event.pointerId)) this.#follow(event.clientX);
    });
    this.#handle.addEventListener("keydown", (event) => {
      const step = KEY_STEPS[event.key];
      if (step === undefined) return;
      event.preventDefault();
      this.set(this.#percent + step);
    });
  }

  /** @param {boolean} isOn */
  show(isOn) {
    this.#handle.hidden = !isOn;
    $("source").hidden = !isOn;
    this.#picture.classList.toggle("is-comparing", isOn);
  }

  /** @param {number} percent of the width that shows the source */
  set(percent) {
    this.#percent = Math.min(100, Math.max(0, percent));
    this.#picture.style.setProperty("--cut", `${this.#percent}%`);
    this.#handle.setAttribute("aria-valuenow", String(Math.round(this.#percent)));
    this.#handle.setAttribute("aria-valuetext", `${Math.round(this.#percent)} % source`);
  }

  /** @param {number} clientX */
  #follow(clientX) {
    const { left, width } = this.#picture.getBoundingClientRect();
    this.set(((clientX - left) / width) * 100);
  }
}
