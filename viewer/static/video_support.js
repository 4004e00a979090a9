// @ts-check
/** Which video this browser decodes and encodes, asked once. WebCodecs is there on localhost and over HTTPS only. */

/** WebCodecs' names to ask with; a stream says its own. @type {{[codec: string]: string}} */
export const PROBES = { h264: "avc1.42e01f", vp8: "vp8" };

/**
 * Codecs in the order of their preference. `wanted`: the page's `?video=`: one codec, "jpeg" for none.
 * @param {"VideoDecoder" | "VideoEncoder"} kind
 * @param {object} options what is asked beside the codec
 * @param {string} wanted
 * @returns {Promise<string[]>}
 */
export async function supported(kind, options, wanted = "") {
  const coder = /** @type {any} */ (globalThis)[kind];
  if (!coder?.isConfigSupported) return [];
  const found = [];
  for (const [codec, name] of Object.entries(PROBES)) {
    if (wanted && codec !== wanted) continue;
    const isThere = await coder.isConfigSupported({ codec: name, ...options }).then((/** @type {any} */ answer) => answer.supported, () => false);
    if (isThere) found.push(codec);
  }
  return found;
}
