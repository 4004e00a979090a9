// @ts-check
/**
 * One WebSocket for everything, opened again by itself with a growing, jittered delay. Knows messages, no page.
 * A message sent while it is closed is dropped: `onOpen` tells the owner to say again what it wants.
 */

import { retryDelay } from "./backoff.js";
import { CONNECTING, LIVE, PAGE_SERVER_GONE } from "./stream_states.js";

/** @typedef {{onOpen: () => void, onMessage: (message: any) => void, onBinary: (message: Blob) => void, onState: (state: string) => void}} Callbacks */

export class Connection {
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #attempt = 0;
  #stopped = false;
  #url;
  #on;

  /**
   * @param {string} url
   * @param {Callbacks} callbacks
   */
  constructor(url, callbacks) {
    this.#url = url;
    this.#on = callbacks;
  }

  start() {
    this.#stopped = false;
    this.#open();
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Bytes given to the browser and not yet on the network. */
  get bufferedBytes() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  /** @param {object} message */
  send(message) {
    if (this.isOpen) this.#socket?.send(JSON.stringify(message));
  }

  /** @param {Blob} message */
  sendBinary(message) {
    if (this.isOpen) this.#socket?.send(message);
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#socket?.close(1000);
    this.#socket = null;
  }

  #open() {
    this.#on.onState(this.#attempt === 0 ? CONNECTING : PAGE_SERVER_GONE);
    const socket = new WebSocket(this.#url);
    socket.binaryType = "blob";
    socket.onopen = () => {
      this.#attempt = 0;
      this.#on.onState(LIVE);
      this.#on.onOpen();
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.#on.onMessage(JSON.parse(data));
      else this.#on.onBinary(data);
    };
    socket.onclose = () => this.#again(socket);
    this.#socket = socket;
  }

  /** @param {WebSocket} socket */
  #again(socket) {
    if (this.#stopped || socket !== this.#socket) return;
    this.#on.onState(PAGE_SERVER_GONE);
    this.#timer = setTimeout(() => this.#open(), retryDelay(this.#attempt));
    this.#attempt += 1;
  }
}
