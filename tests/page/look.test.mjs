/** The brush's slider: its places are quarters of a doubling, its ends what the server takes. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { brushAt, placeOf } from "../../viewer/static/look.js";

test("the slider's ends are the smallest and the largest brush, its zero the usual one", () => {
  assert.deepEqual([-4, 0, 4, 8].map(brushAt), [0.5, 1, 2, 4]);
});

test("every place is found again", () => {
  for (let place = -4; place <= 8; place++) assert.equal(placeOf(brushAt(place)), place);
});
