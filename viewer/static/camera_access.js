// @ts-check
/** Why a browser withholds the camera, in words, and what to do about it. */

/** @typedef {{title: string, reason: string, ways: string[]}} Obstacle */

/**
 * Return what stands between this page and a camera, or null.
 * @param {{isSecureContext: boolean, hasMediaDevices: boolean, hostname: string, port: string}} facts
 * @returns {Obstacle | null}
 */
export function cameraObstacle({ isSecureContext, hasMediaDevices, hostname, port }) {
  if (isSecureContext && hasMediaDevices) return null;
  if (isSecureContext) {
    return { title: "This browser has no camera interface", reason: "It offers no navigator.mediaDevices.", ways: ["Open this page in a current Chrome, Edge, Firefox or Safari."] };
  }
  const onPort = port ? `:${port}` : "";
  return {
    title: "The browser withholds the camera here",
    reason: `Browsers hand out the camera only over HTTPS or on localhost. This page came over plain http from ${hostname}.`,
    ways: [
      `On the machine that serves it, open http://localhost${onPort}`,
      "Serve it over HTTPS: painter view --tls-self-signed, or --tls-cert and --tls-key with a certificate of yours",
      `Or bring the port over: ssh -L ${port || "8080"}:localhost:${port || "8080"} ${hostname}`,
    ],
  };
}

/** @type {{[name: string]: string}} */
const REFUSALS = {
  NotAllowedError: "The camera was not allowed. Allow it beside the page's address, then start again.",
  NotFoundError: "No camera was found on this device.",
  NotReadableError: "The camera is busy in another program. Close that one, then start again.",
  OverconstrainedError: "This camera has no such picture size. Choose another resolution.",
  AbortError: "The camera stopped while starting. Start it again.",
  EncoderError: "A part of this page did not come: its server is gone, or is of another version. Reload the page.",
};

/** Words for an error of `Camera.start`. @param {unknown} error */
export function cameraRefusal(error) {
  const { name = "", message = "" } = /** @type {{name?: string, message?: string}} */ (error ?? {});
  return REFUSALS[name] ?? `The camera could not be started: ${message || name || "no reason given"}.`;
}
