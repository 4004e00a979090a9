// @ts-check
/** The controls leave when nobody moves for a while and the page may rest; any sign of life brings them back. */

const QUIET_MS = 3000;

/** @param {() => boolean} mayRest whether nothing on the page needs the controls now */
export function watchIdle(mayRest) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const isInUse = () => document.querySelector(".chrome:hover, .chrome :focus-visible") !== null;
  const wake = () => {
    document.body.classList.remove("is-idle");
    clearTimeout(timer);
    timer = setTimeout(rest, QUIET_MS);
  };
  const rest = () => {
    if (mayRest() && !isInUse()) document.body.classList.add("is-idle");
    else timer = setTimeout(rest, QUIET_MS);
  };
  for (const sign of ["pointermove", "pointerdown", "keydown", "focusin", "dragover"]) addEventListener(sign, wake, { passive: true });
  wake();
}
