// @ts-check
/**
 * What this page's way up bears, learnt from when camera pictures were sent and taken. The same controller as the
 * server's for the way down (`viewer/web/line.py` says why each figure is what it is). Pure: times are the caller's, in ms.
 */

export const MIN_BPS = 400_000;
/** A camera's picture is smoother than a painting: 2 Mbit/s show all of it. */
export const MAX_BPS = 2_000_000;
/** Where nothing is known of the line yet. */
const FIRST_BPS = 1_500_000;
const FLOOR_MS = 30_000;
const SAMPLES = 9;
const HIGH_MS = 60;
const LOW_MS = 30;
const STANDING_MS = 400;
const STANDING_LEAST = 3;
const MISFITS = 3;
const ROOM = 1.25;
const NEAR_MS = 2;
const TRY_AFTER_MS = 3000;

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

export class Line {
  isCoded = false;
  bps = MIN_BPS;
  /** @type {{at: number, trip: number}[]} */ #trips = [];
  /** @type {number[]} */ #capacities = [];
  /** @type {{at: number, excess: number}[]} */ #excesses = [];
  /** @type {{at: number, bytes: number}[]} */ #acked = [];
  #arrived = -Infinity;
  #changed = -Infinity;
  #full = { at: -Infinity, bps: 0 };
  #misfits = 0;
  #isAlways = false;
  #fullSince = Infinity;
  #tryAfter = TRY_AFTER_MS;

  /** Whatever the line carries, as a visitor asked for. */
  codeAlways() {
    [this.#isAlways, this.isCoded, this.bps] = [true, true, FIRST_BPS];
  }

  /** The shortest trip of the last half minute. */
  get floor() {
    return this.#trips[0]?.trip ?? 0;
  }

  /** How many pictures may be on their way. @param {number} fps */
  window(fps) {
    if (this.#capacities.length === 0) return 1;
    return Math.min(26, 2 + (this.floor > 2 * NEAR_MS ? Math.ceil((fps * this.floor) / 1000) : 0));
  }

  /**
   * Take in that `bytes`, sent at `sent`, were taken; `needs`: bits a second of the pictures as JPEG.
   * @param {{at: number, sent: number, bytes: number, needs: number}} receipt
   */
  acknowledged({ at, sent, bytes, needs }) {
    const trip = at - sent;
    this.note(at, trip);
    const began = Math.max(sent + this.floor, this.#arrived);
    this.#arrived = at;
    this.#capacities = [...this.#capacities, (bytes * 8000) / Math.max(0.1, at - began)].slice(-SAMPLES);
    this.#acked = [...this.#acked, { at, bytes }].filter((one) => at - one.at < 1000);
    this.#excesses.push({ at, excess: trip - this.floor - (bytes * 8000) / this.bps });
    while (this.#excesses.length > STANDING_LEAST && at - this.#excesses[0].at > STANDING_MS) this.#excesses.shift();
    if (this.isCoded) this.#steer(at, needs);
    else this.#judge(at, needs);
  }

  /** Note the trip of something small: without one, the first picture's own time on a thin line would pass for it. @param {number} at @param {number} trip */
  note(at, trip) {
    while (this.#trips.length && /** @type {{trip: number}} */ (this.#trips.at(-1)).trip >= trip) this.#trips.pop();
    this.#trips.push({ at, trip });
    while (at - this.#trips[0].at > FLOOR_MS) this.#trips.shift();
  }

  /** @param {number} at @param {number} needs */
  #judge(at, needs) {
    const best = [...this.#capacities].sort((a, b) => a - b)[Math.floor((this.#capacities.length * 3) / 4)];
    this.#misfits = best < (this.floor < NEAR_MS ? 0.5 : ROOM) * needs ? this.#misfits + 1 : 0;
    if (this.#misfits < Math.min(MISFITS, this.#capacities.length)) return;
    this.isCoded = true;
    this.#misfits = 0;
    this.#fullSince = Infinity;
    this.#set(at, 0.7 * median(this.#capacities));
    this.#excesses = [];
  }

  /** @param {number} at @param {number} needs */
  #steer(at, needs) {
    const excesses = this.#excesses.map((one) => one.excess);
    const throughput = this.#acked.reduce((sum, one) => sum + one.bytes, 0) * 8;
    if (excesses.length >= STANDING_LEAST && Math.min(...excesses) > HIGH_MS && at - this.#changed > 300 + this.floor) {
      this.#full = { at, bps: Math.max(this.bps / 2, Math.min(this.bps, throughput)) };
      this.#set(at, 0.8 * this.#full.bps);
      this.#excesses = [];
    } else if (median(excesses) < LOW_MS && at - this.#changed > 250 && throughput > 0.6 * this.bps) {
      const isNearFull = at - this.#full.at < 10_000 && this.bps > 0.85 * this.#full.bps;
      this.#set(at, (isNearFull ? 1.015 : 1.06) * this.bps);
    }
    const isFull = this.bps >= 0.98 * MAX_BPS && median(this.#capacities) > 1.5 * needs;
    this.#fullSince = isFull ? Math.min(this.#fullSince, at) : Infinity;
    if (this.#isAlways || at - this.#fullSince < this.#tryAfter) return;
    this.isCoded = false;
    this.#tryAfter = Math.min(300_000, 2 * this.#tryAfter);
  }

  /** @param {number} at @param {number} bps */
  #set(at, bps) {
    this.bps = Math.min(MAX_BPS, Math.max(MIN_BPS, bps));
    this.#changed = at;
  }
}
