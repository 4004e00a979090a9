// @ts-check
/** A look beside its style, as the page keeps it and as the server takes it. No DOM. */

/** @typedef {{strength: number, keepColours: boolean, brush: number, mix: string, share: number}} Look `mix`: a second style, "" for none, that makes up `share` */

/** @type {Look} */
export const PLAIN = { strength: 1, keepColours: false, brush: 1, mix: "", share: 0.5 };

/** The fields of a message or a query. @param {Look} look @param {string} style */
export function lookFields(look, style) {
  const fields = { strength: look.strength, keep_colours: look.keepColours, brush: look.brush };
  return look.mix && look.mix !== style ? { ...fields, mix: look.mix, share: look.share } : fields;
}
