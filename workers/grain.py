"""The grain of the canvas: a faint fixed pattern laid over a frame before it is painted, for strokes where it is flat.

A network that looks at no frame-wide statistics paints a flat wall flat: convolutions of a constant are a constant. The
grain gives every place of the frame two slow values, the same in each frame, so that they cannot flicker; they ride on
a checkerboard of opposite colours, which no camera with 4:2:0 chroma records, so that a network tells them from the
picture. Nobody sees it: it is in what the network is shown, not in what it paints.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

# The pattern repeats after this, in both directions.
PERIOD_PX = 512
# What the checkerboard's two values do to blue, green and red: two directions without brightness.
DIRECTIONS_BGR = ((1.0, 0.0, -1.0), (0.5, -1.0, 0.5))
# Wavelength about which the values swing, that of a few strokes, and its spread in octaves.
_WAVELENGTH_PX, _OCTAVES = 32.0, 0.7

Pixels = NDArray[np.uint8]


@cache
def fields() -> NDArray[np.float32]:
    """The two values of every place, 2 × PERIOD_PX × PERIOD_PX, -1 to 1; they go on across the edges."""
    # RandomState, since its numbers are promised to stay what they are: a style is trained on this very grain.
    noise = np.random.RandomState(1889).standard_normal((2, PERIOD_PX, PERIOD_PX))
    across, down = np.fft.rfftfreq(PERIOD_PX), np.fft.fftfreq(PERIOD_PX)
    frequency = np.hypot(across[None, :], down[:, None])
    octaves = np.log2(np.maximum(frequency, 1e-6) * _WAVELENGTH_PX)
    band = np.exp(-0.5 * (octaves / _OCTAVES) ** 2)
    slow = np.fft.irfft2(np.fft.rfft2(noise) * band, s=(PERIOD_PX, PERIOD_PX))
    slow /= slow.std(axis=(1, 2), keepdims=True)
    return np.asarray(np.clip(slow / 2.0, -1.0, 1.0), np.float32)


def lay(pixels: Pixels, strength: float) -> Pixels:
    """Return H×W×3 uint8 BGR `pixels` with the grain over them, a fresh array (0.4 ms at 640×480).

    `strength`: what the checkerboard adds and takes at most, of 255.
    """
    above, below = _pattern(strength)
    grained = np.empty_like(pixels)
    height, width = pixels.shape[:2]
    # Block by block: a pattern of the frame's size would cost a worker 200 MB at 8K.
    for top, left in product(range(0, height, PERIOD_PX), range(0, width, PERIOD_PX)):
        block = (slice(top, top + PERIOD_PX), slice(left, left + PERIOD_PX))
        rows, columns = pixels[block].shape[:2]
        lighter = cv2.add(pixels[block], above[:rows, :columns])
        grained[block] = cv2.subtract(lighter, below[:rows, :columns])
    return grained


@cache
def _pattern(strength: float) -> tuple[Pixels, Pixels]:
    """What is added to a block of a frame, and what is taken away."""
    places = np.arange(PERIOD_PX)
    checkerboard = 1.0 - 2.0 * ((places[:, None] + places) % 2)
    steps = np.rint(strength * np.einsum("khw,kc->hwc", fields() * checkerboard, np.array(DIRECTIONS_BGR)))
    return np.asarray(np.maximum(steps, 0), np.uint8), np.asarray(np.maximum(-steps, 0), np.uint8)
