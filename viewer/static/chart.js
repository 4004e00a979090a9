// @ts-check
/** A line of the last minute on a canvas: its own scale, its newest value at the right edge. Colours come from CSS. */

const KEPT = 60;

export class Chart {
  /** @type {(number | null)[]} */ #values = [];
  #canvas;
  #floor;

  /** @param {HTMLCanvasElement} canvas @param {{floor: number}} options the least value that fills the height */
  constructor(canvas, { floor }) {
    this.#canvas = canvas;
    this.#floor = floor;
  }

  /** @param {number | null} value null: nothing was measured */
  add(value) {
    this.#values.push(value);
    if (this.#values.length > KEPT) this.#values.shift();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const context = this.#canvas.getContext("2d");
    if (!width || !context) return;
    const scale = devicePixelRatio;
    this.#canvas.width = width * scale;
    this.#canvas.height = height * scale;
    context.scale(scale, scale);
    const style = getComputedStyle(this.#canvas);
    const top = Math.max(this.#floor, ...this.#values.map((value) => value ?? 0)) * 1.1;
    const points = this.#values.flatMap((value, index) =>
      value === null ? [] : [{ x: width - ((this.#values.length - 1 - index) * width) / (KEPT - 1), y: height - 1 - (value / top) * (height - 4) }],
    );
    baseline(context, width, height, style.getPropertyValue("--line"));
    line(context, points, height, style.getPropertyValue("--accent-ink"));
    this.#canvas.setAttribute("aria-label", `Now ${this.#values.at(-1)?.toFixed(0) ?? "nothing"}, highest in the last minute ${Math.max(0, ...this.#values.map((value) => value ?? 0)).toFixed(0)}`);
  }
}

/** @param {CanvasRenderingContext2D} context @param {number} width @param {number} height @param {string} colour */
function baseline(context, width, height, colour) {
  context.strokeStyle = colour;
  context.beginPath();
  context.moveTo(0, height - 0.5);
  context.lineTo(width, height - 0.5);
  context.stroke();
}

/** @param {CanvasRenderingContext2D} context @param {{x: number, y: number}[]} points @param {number} height @param {string} colour */
function line(context, points, height, colour) {
  if (points.length < 2) return;
  const path = new Path2D();
  points.forEach(({ x, y }, index) => (index ? path.lineTo(x, y) : path.moveTo(x, y)));
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.lineJoin = "round";
  context.stroke(path);
  const area = new Path2D(path);
  area.lineTo(points[points.length - 1].x, height);
  area.lineTo(points[0].x, height);
  context.globalAlpha = 0.14;
  context.fillStyle = colour;
  context.fill(area);
}
