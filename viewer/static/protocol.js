// @ts-check
/**
 * The binary messages of `/ws`, the page's side of docs/protocol.md. Pictures stay Blobs: only headers are read.
 */

export const CAMERA_FRAME = 1;
export const PICTURE = 2;
/** As `PICTURE`, its painting a chunk of video. */
export const CODED_PICTURE = 3;
export const CAMERA_CHUNK = 4;
/** A header is about 220 bytes; one read of this size takes all of it. */
const HEAD_BYTES = 1024;

/**
 * @typedef {object} Header
 * @property {string} stream
 * @property {number} seq
 * @property {number} pts capture time of one's own camera, in ms of the page's clock
 * @property {number} w
 * @property {number} h
 * @property {number} size bytes of the painted JPEG
 * @property {number} source_size bytes of the source's JPEG, 0 while nobody compares
 * @property {number} queue_ms
 * @property {number} decode_ms
 * @property {number} paint_ms
 * @property {number} encode_ms
 * @property {string} style
 * @property {string} worker
 * @property {string} [codec] "jpeg", or WebCodecs' name of it; absent: the JPEG as it was painted
 * @property {boolean} [key] the chunk needs none before it
 * @property {number} [coded_w] as it was sent, smaller than `w` on a thin line
 * @property {number} [coded_h]
 */

/**
 * `chunk`: the painting as a piece of video, null for a JPEG; `arrivedAt`: when it came out of the socket, ms.
 * @typedef {{header: Header, painted: Blob, source: Blob | null, chunk: ArrayBuffer | null, arrivedAt: number, bytes: number}} Picture
 */

/**
 * Return a camera frame as one message: kind, float64 LE capture time, JPEG.
 * @param {number} capturedMs on the page's performance clock
 * @param {Blob} jpeg
 */
export function cameraFrame(capturedMs, jpeg) {
  const head = new DataView(new ArrayBuffer(9));
  head.setUint8(0, CAMERA_FRAME);
  head.setFloat64(1, capturedMs, true);
  return new Blob([head.buffer, jpeg]);
}

/**
 * Return the next piece of the camera's video as one message: kind, codec, whether it is a key frame, time, chunk.
 * @param {number} capturedMs on the page's performance clock
 * @param {string} codec
 * @param {boolean} isKey
 * @param {ArrayBuffer} chunk
 */
export function cameraChunk(capturedMs, codec, isKey, chunk) {
  const head = new DataView(new ArrayBuffer(11));
  head.setUint8(0, CAMERA_CHUNK);
  head.setUint8(1, codec === "h264" ? 1 : 2);
  head.setUint8(2, isKey ? 1 : 0);
  head.setFloat64(3, capturedMs, true);
  return new Blob([head.buffer, chunk]);
}

/**
 * Read a picture message. Throws `RangeError` for what is none.
 * @param {Blob} message
 * @param {number} arrivedAt
 * @returns {Promise<Picture>}
 */
export async function readPicture(message, arrivedAt = 0) {
  let bytes = new Uint8Array(await message.slice(0, HEAD_BYTES).arrayBuffer());
  if (bytes.length < 3 || ![PICTURE, CODED_PICTURE].includes(bytes[0])) throw new RangeError(`message of kind ${bytes[0]}`);
  const end = 3 + new DataView(bytes.buffer).getUint16(1, true);
  if (end > bytes.length) bytes = new Uint8Array(await message.slice(0, end).arrayBuffer());
  const header = /** @type {Header} */ (JSON.parse(new TextDecoder().decode(bytes.subarray(3, end))));
  const sourceAt = end + header.size;
  if (sourceAt + header.source_size !== message.size) throw new RangeError("message is cut short");
  return {
    header,
    arrivedAt,
    bytes: message.size,
    chunk: bytes[0] === CODED_PICTURE ? await message.slice(end, sourceAt).arrayBuffer() : null,
    painted: message.slice(end, sourceAt, "image/jpeg"),
    source: header.source_size > 0 ? message.slice(sourceAt, message.size, "image/jpeg") : null,
  };
}
