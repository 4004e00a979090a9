// @ts-check
/** Finding and making elements. Text goes in as text, never as markup. */

/**
 * The element with this id; throws when the page has none, since then page and script do not belong together.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function $(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return /** @type {T} */ (found);
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {{[name: string]: string | number | boolean | null | undefined}} [attributes] null, undefined, false: left out
 * @param {...(Node | string)} children
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value != null && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** @param {string} name a symbol of icons.svg */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `/static/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** Put the icon named in `data-icon` before the words of each such element. @param {ParentNode} root */
export function addIcons(root) {
  for (const element of root.querySelectorAll("[data-icon]")) {
    element.prepend(icon(/** @type {HTMLElement} */ (element).dataset.icon ?? ""));
  }
}

/** @param {string} style */
export function pictureOf(style) {
  return `/styles/${encodeURIComponent(style)}.jpg`;
}

/** A style's painting as an image; a plain brush stroke where the style came without. @param {string} style @param {number} size px */
export function picture(style, size) {
  const image = make("img", { src: pictureOf(style), alt: "", width: size, height: size, draggable: "false" });
  image.addEventListener("error", () => (image.src = "/static/blank.svg"), { once: true });
  return image;
}

/** A painting's plate: its name, its painter, its year. @param {import("./state.js").StyleCard | undefined} card */
export function plate(card) {
  if (!card) return [];
  const by = [card.painter, card.year].filter(Boolean).join(", ");
  return [make("strong", {}, card.painting || card.name), make("span", {}, by)];
}

/** Save `blob` as a download. @param {Blob} blob @param {string} name */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  // The browser has taken it once the click is handled; a minute is for slow dialogs.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
