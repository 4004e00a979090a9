// @ts-check
/**
 * One stream's coded pictures → VideoFrames, in order. Every one is decoded, since each builds on the one before; what is
 * too old to be drawn is the player's business. Asks for a key frame when it has none, at most twice a second.
 */

/** @typedef {import("./protocol.js").Picture} Picture */

const ASK_AGAIN_MS = 500;
/** What a decoder may have waiting; more means that this machine is too slow, and a key frame starts anew. */
const MOST_WAITING = 16;

export class StreamDecoder {
  /** @type {VideoDecoder | null} */ #decoder = null;
  /** timestamp → picture @type {Map<number, Picture>} */ #waiting = new Map();
  #config = "";
  #count = 0;
  #askedAt = -Infinity;
  #onFrame;
  #onLost;

  /**
   * @param {(picture: Picture, frame: VideoFrame) => void} onFrame owns the frame from then on
   * @param {(stream: string) => void} onLost a key frame is needed
   */
  constructor(onFrame, onLost) {
    this.#onFrame = onFrame;
    this.#onLost = onLost;
  }

  /** @param {Picture} picture whose painting is a chunk of video */
  decode(picture) {
    const { codec = "", key = false, stream } = picture.header;
    if (key) this.#begin(picture);
    if (!this.#decoder || codec !== this.#config || this.#waiting.size >= MOST_WAITING) return this.#lose(stream);
    // Timestamps only tell which picture came out; a decoder wants them to rise.
    const timestamp = ++this.#count * 1000;
    this.#waiting.set(timestamp, picture);
    try {
      this.#decoder.decode(new EncodedVideoChunk({ type: key ? "key" : "delta", timestamp, data: /** @type {ArrayBuffer} */ (picture.chunk) }));
    } catch {
      this.#lose(stream);
    }
  }

  stop() {
    if (this.#decoder && this.#decoder.state !== "closed") this.#decoder.close();
    this.#decoder = null;
    this.#waiting.clear();
  }

  /** A key frame is decoded by the decoder there is, unless the codec or the size changed. @param {Picture} picture */
  #begin({ header: { codec = "", coded_w, coded_h, stream } }) {
    if (this.#decoder?.state === "configured" && codec === this.#config && this.#waiting.size < MOST_WAITING) return;
    this.stop();
    this.#config = codec;
    const decoder = new VideoDecoder({
      output: (frame) => {
        const picture = this.#waiting.get(frame.timestamp);
        this.#waiting.delete(frame.timestamp);
        if (picture && decoder === this.#decoder) this.#onFrame(picture, frame);
        else frame.close();
      },
      error: () => decoder === this.#decoder && this.#lose(stream),
    });
    decoder.configure({ codec, codedWidth: coded_w, codedHeight: coded_h, optimizeForLatency: true });
    this.#decoder = decoder;
  }

  /** @param {string} stream */
  #lose(stream) {
    this.stop();
    const now = performance.now();
    if (now - this.#askedAt < ASK_AGAIN_MS) return;
    this.#askedAt = now;
    this.#onLost(stream);
  }
}
