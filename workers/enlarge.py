"""A painting made small, brought back to its source's size with crisp edges: strokes stay as wide as they were painted.

Three steps. Strokes are smoothed along themselves (Kyprianidis & Kang 2011, after the structure tensor), since the dots
of a pixel or two that a network leaves would be seen once they are six times as large. What enlarging blurs is drawn
together again, within what the neighbourhood shows, so that no halo comes up. And where an edge of the painting lies on
one of the source, the source says where exactly (its detail, times the local slope of the painting over it, as a guided
filter has it: He 2010). A guided filter alone washed strokes out, joint detail at a fixed share drew the photo's grain
into the painting, and plain cubic enlarging was blurred.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

# From this enlargement on, strokes are drawn at twice the painted size first: edges that are only drawn together at
# 3648 rows show each painted pixel.
_LARGE = 2.5
# How far strokes are smoothed along themselves, in px at twice the painted size, one after the other, and the structure
# their direction is told from.
_REACHES_PX, _STRUCTURE_PX = (6.0, 3.0), 3.0
# Where strokes have no direction they are smoothed over this much of it.
_LEAST_REACH = 0.5
# How much of what a blur takes away is added.
_CRISP, _BLUR_PX = 2.0, 1.0
# Up to this shrinking, linear steps between pixels leave nothing out.
_LINEAR = 1.25
# The slope of the painting over its source: taken from so many pixels, noise in luma² below which nothing is an edge.
_SLOPE_PX, _SLOPE_NOISE, _STEEPEST = 9, 20.0, 1.5
# What the source's detail must exceed, of 255: grain and leaves stay a painting's, contours are drawn.
_LEAST_DETAIL = 6.0

_BESIDE = np.ones((3, 3), np.uint8)

Pixels = NDArray[np.uint8]
_Map = NDArray[np.float32]


def resized(pixels: NDArray[np.uint8], size: tuple[int, int]) -> Pixels:
    """Return H×W or H×W×3 uint8 `pixels` at `size` (width, height); the same array where they have it."""
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    # By halves first: OpenCV has them in SIMD, 3 ms from 1920×1080 to 853×480 where one step of `INTER_AREA` took 11.
    while pixels.shape[0] >= 2 * size[1] and pixels.shape[1] >= 2 * size[0]:
        half = (pixels.shape[1] // 2, pixels.shape[0] // 2)
        pixels = np.asarray(
            cv2.resize(pixels[: 2 * half[1], : 2 * half[0]], half, interpolation=cv2.INTER_AREA), np.uint8
        )
    times = pixels.shape[0] / size[1]
    between = cv2.INTER_CUBIC if times < 1 else cv2.INTER_LINEAR if times <= _LINEAR else cv2.INTER_AREA
    return np.asarray(cv2.resize(pixels, size, interpolation=between), np.uint8)


def enlarged(painted: Pixels, source: Pixels) -> Pixels:
    """Return the h×w×3 uint8 BGR painting at the size of its source, as crisp as that; a fresh array.

    `source`: H×W×3 BGR, or its H×W luma. 16 to 35 ms of a core from 853×480 to 1920×1080. A painting larger than
    its source is shrunk.
    """
    height, width = source.shape[:2]
    if painted.shape[0] >= height:
        return resized(painted, (width, height)).copy()
    guide = source if source.ndim == 2 else np.asarray(cv2.cvtColor(source, cv2.COLOR_BGR2GRAY), np.uint8)
    small = cv2.cvtColor(_drawn(painted, height / painted.shape[0]), cv2.COLOR_BGR2YCrCb)
    # Chroma is seen coarsely: crisp luma carries it, as in every video.
    both = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    luma = np.asarray(cv2.extractChannel(small, 0), np.uint8)
    cv2.insertChannel(_enlarge(luma, (width, height), guide=guide), both, 0)
    return np.asarray(cv2.cvtColor(both, cv2.COLOR_YCrCb2BGR), np.uint8)


def _drawn(painted: Pixels, times: float) -> Pixels:
    """Return the painting without dots; to be enlarged a lot, at twice its size with its strokes drawn out."""
    smooth = np.asarray(cv2.GaussianBlur(painted, (3, 3), 0), np.uint8)
    if times < _LARGE:
        return smooth
    double = np.asarray(_enlarge(smooth, (2 * painted.shape[1], 2 * painted.shape[0])), np.uint8)
    for reach_px in _REACHES_PX:
        double = _along_strokes(double, reach_px)
    return double


def _enlarge(small: Pixels, size: tuple[int, int], *, guide: Pixels | None = None) -> Pixels:
    """Return `small` sharpened at `size`, no pixel lighter or darker than what lies around it in `small`: no halo.

    `guide`: its source's luma at that size; where its edges are, those of `small`, luma too, are put.
    """
    # What sharpens the small one sharpens the large one too, at a fifth of the cost.
    blurred = cv2.GaussianBlur(small, (0, 0), _BLUR_PX)
    sharp = cv2.resize(cv2.addWeighted(small, 1.0 + _CRISP, blurred, -_CRISP, 0.0), size, interpolation=cv2.INTER_CUBIC)
    if guide is not None:
        sharp = _guided(np.asarray(sharp, np.uint8), guide, small)
    least, most = (
        cv2.resize(bound(small, _BESIDE), size, interpolation=cv2.INTER_LINEAR) for bound in (cv2.erode, cv2.dilate)
    )
    return np.asarray(cv2.min(cv2.max(sharp, least), most), np.uint8)


def _along_strokes(painted: Pixels, reach_px: float) -> Pixels:
    """Return the mean of each pixel and the two `reach_px` to either side of it along its stroke."""
    height, width = painted.shape[:2]
    half = (max(1, width // 2), max(1, height // 2))
    across, down = (
        cv2.resize(axis, (width, height), interpolation=cv2.INTER_NEAREST) for axis in _directions(painted, half)
    )
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    sides = []
    for px in (reach_px, -reach_px):
        places, parts = cv2.convertMaps(columns + px * across, rows + px * down, cv2.CV_16SC2)
        sides.append(cv2.remap(painted, places, parts, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101))
    beside = cv2.addWeighted(sides[0], 0.5, sides[1], 0.5, 0.0)
    return np.asarray(cv2.addWeighted(painted, 1 / 3, beside, 2 / 3, 0.0), np.uint8)


def _directions(painted: Pixels, half: tuple[int, int]) -> tuple[_Map, _Map]:
    """Return at half the size where strokes lead, columns and rows; shorter than 1 where they agree less."""
    grey = cv2.cvtColor(cv2.resize(painted, half, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    dx, dy = (cv2.Sobel(grey, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    sigma = _STRUCTURE_PX / 2
    xx, xy, yy = (cv2.GaussianBlur(product, (0, 0), sigma) for product in (dx * dx, dx * dy, dy * dy))
    apart = cv2.magnitude(xx - yy, 2 * xy)
    # The eigenvector along which luma changes least, of two ways to write it the one that does not vanish.
    tall = (xx >= yy).astype(np.float32)
    across = -2 * xy * tall + (apart + yy - xx) * (1 - tall)
    down = (apart + xx - yy) * tall - 2 * xy * (1 - tall)
    agreed = np.maximum(apart / (xx + yy + 1e-3), _LEAST_REACH) / (cv2.magnitude(across, down) + 1e-6)
    return np.asarray(across * agreed, np.float32), np.asarray(down * agreed, np.float32)


def _guided(large: Pixels, guide: Pixels, small: Pixels) -> Pixels:
    """Return `large` with the detail that `guide` has beyond the size of `small`, as steep as `small` is over it."""
    size = (large.shape[1], large.shape[0])
    coarse = resized(guide, (small.shape[1], small.shape[0]))
    known = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    slope = cv2.resize(_slope(small, coarse), size, interpolation=cv2.INTER_LINEAR)
    # In bytes: in floats it took twice the time.
    lighter = cv2.addWeighted(guide, 1.0, known, -1.0, -_LEAST_DETAIL)
    darker = cv2.addWeighted(known, 1.0, guide, -1.0, -_LEAST_DETAIL)
    lit = cv2.add(large, cv2.multiply(lighter, slope, scale=1 / 128))
    return np.asarray(cv2.subtract(lit, cv2.multiply(darker, slope, scale=1 / 128)), np.uint8)


def _slope(luma: Pixels, coarse: Pixels) -> Pixels:
    """Return how much the painting's luma rises where its source's does, 128 for as much."""
    around = (_SLOPE_PX, _SLOPE_PX)
    y, x = luma.astype(np.float32), coarse.astype(np.float32)
    mean_y, mean_x = cv2.blur(y, around), cv2.blur(x, around)
    together = cv2.blur(x * y, around) - mean_x * mean_y
    spread = cv2.blur(x * x, around) - mean_x * mean_x
    slope = np.clip(together / (spread + _SLOPE_NOISE), 0.0, _STEEPEST)
    return np.asarray(cv2.blur(slope, (5, 5)) * 128.0, np.uint8)
