"""Numbers for what people complain about in painted pictures: blots, strokes, dull colour, border lines, lattices.

Pictures are H×W×3 uint8 BGR at 640×480, as judges see them; luma is BT.601, 0 to 255. Nothing here is part of any
training loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.style_measures import Pixels

Luma = NDArray[np.float32]

# A blot is wider than a stroke and smaller than a form.
_BLOT_PX = (9, 33)
# A photo is flat where luma deviates by less than this within the wider of these.
_FLAT_DEVIATION = 4.0
# A photo without that much of it flat says nothing about blots.
_LEAST_FLAT_SHARE = 0.02
# A painting's flat areas: where what is left without strokes and blots varies least, over this distance.
_FORM_PX, _FLAT_PAINTING_SHARE = 97, 0.25
# Strokes are sought in windows of this side, after what is wider than half of it is taken out.
_WINDOW_PX, _STROKE_STEP_PX, _DIRECTIONS = 96, 48, 24
_LEAST_CONTRAST = 2.0
_COLOUR_BIN = 8
# Whatever the network does at the border ends by here; the next pixels inwards are what it is compared with.
_BORDER_PX = 25
# Divisible by 2, 4 and 8, so that each lattice is one line of the spectrum.
_TILE_PX, _TILE_STEP_PX = 160, 80
_NEIGHBOURS = range(3, 9)


def luma(picture: Pixels) -> Luma:
    """H×W float32 luma, 0 to 255."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.float32)


def blot_variance(picture: Pixels, where: NDArray[np.bool_]) -> float:
    """Variance of luma in the band of 9 to 33 px, over the pixels `where`."""
    grey = luma(picture)
    band = _box(grey, _BLOT_PX[0]) - _box(grey, _BLOT_PX[1])
    return float(np.square(band[where]).mean())


def flat_of_photo(photo: Pixels) -> NDArray[np.bool_] | None:
    """Where a photo is flat, or None where hardly anywhere is."""
    flat = _deviation(luma(photo), _BLOT_PX[1]) < _FLAT_DEVIATION
    return np.asarray(flat, np.bool_) if flat.mean() >= _LEAST_FLAT_SHARE else None


def flat_of_painting(painting: Pixels) -> NDArray[np.bool_]:
    """Where a painting has strokes but no forms: the quarter where its luma without strokes and blots varies least."""
    forms = _deviation(_box(luma(painting), _BLOT_PX[1]), _FORM_PX)
    return np.asarray(forms <= np.quantile(forms, _FLAT_PAINTING_SHARE), np.bool_)


@dataclass(frozen=True, slots=True)
class Strokes:
    """Typical length and width of marks, px."""

    length_px: float
    width_px: float


def strokes(picture: Pixels) -> Strokes:
    """Size of marks: twice the lag at which luma's autocorrelation falls to a half, along and across them.

    A bar's autocorrelation falls linearly to zero at its own length, so twice the lag is the bar's size. Median over
    windows in which something can be seen.
    """
    grey = luma(picture)
    fine = grey - _box(grey, _WINDOW_PX // 2 + 1)
    found = [
        sizes
        for top in range(0, fine.shape[0] - _WINDOW_PX + 1, _STROKE_STEP_PX)
        for left in range(0, fine.shape[1] - _WINDOW_PX + 1, _STROKE_STEP_PX)
        if (sizes := _stroke_sizes(fine[top : top + _WINDOW_PX, left : left + _WINDOW_PX])) is not None
    ]
    if not found:
        return Strokes(float("nan"), float("nan"))
    length, width = np.median(np.asarray(found), axis=0)
    return Strokes(float(length), float(width))


def _stroke_sizes(window: Luma) -> tuple[float, float] | None:
    if window.std() < _LEAST_CONTRAST:
        return None
    side = window.shape[0]
    power = np.square(np.abs(np.fft.rfft2(window - window.mean(), (2 * side, 2 * side))))
    # How many pairs of pixels each lag has: further apart, fewer are within the window.
    pairs = np.fft.irfft2(np.square(np.abs(np.fft.rfft2(np.ones_like(window), (2 * side, 2 * side)))))
    correlation = np.fft.fftshift(np.fft.irfft2(power) / np.maximum(pairs, 1.0)).astype(np.float32)
    correlation /= correlation[side, side]
    lags = np.arange(0.0, side / 2, 0.25, dtype=np.float32)
    angles = np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    columns = side + np.outer(np.cos(angles), lags).astype(np.float32)
    rows = side + np.outer(np.sin(angles), lags).astype(np.float32)
    profiles = cv2.remap(correlation, columns, rows, cv2.INTER_LINEAR)  # (directions, lags)
    below = profiles < 0.5
    reach = np.where(below.any(1), lags[below.argmax(1)], lags[-1])
    return 2 * float(reach.max()), 2 * float(reach.min())


def colour_variety(picture: Pixels) -> float:
    """How many chromas there are in effect: exp of the entropy of Lab's (a, b), in bins of 8."""
    lab = cv2.cvtColor(picture, cv2.COLOR_BGR2LAB)
    bins = 256 // _COLOUR_BIN
    counts = np.bincount((lab[..., 1] // _COLOUR_BIN * np.int64(bins) + lab[..., 2] // _COLOUR_BIN).ravel())
    shares = counts[counts > 0] / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def border_lines(pairs: Sequence[tuple[Pixels, Pixels]]) -> float:
    """What a painter adds along the picture's border, of 255; pairs of photo and painted picture.

    The larger of two, at whatever distance from one of the four sides it is largest: a line, by which luma's mean there
    differs from that further inside; and marks across the border (zips), by which its fine variation is stronger than
    further inside. Each is what most pictures have: the median, less the photo's own.
    """
    found = [[_border(luma(picture), luma(photo), turns) for photo, picture in pairs] for turns in range(4)]
    return max(float(np.abs(np.median(np.asarray(side), 0)).max()) for side in found)


def _border(picture: Luma, photo: Luma, turns: int) -> NDArray[np.float64]:
    """(2, 25): line and zips by distance from one side."""
    made, given = _profile(np.rot90(picture, turns)), _profile(np.rot90(photo, turns))
    # A painter that doubles the contrast doubles what the photo itself has there.
    gain = float(np.cov(photo.ravel(), picture.ravel())[0, 1] / max(float(photo.var()), 1.0))
    line, zips = made[0] - gain * given[0], made[1] - abs(gain) * given[1]
    # Less variation than inside is no mark.
    return np.stack([line, np.maximum(zips, 0.0)])


def _profile(grey: Luma) -> NDArray[np.float64]:
    """(2, 25): mean, and deviation of what is finer than 25 px along the side, less those of the next 25 rows."""
    rows = np.asarray(grey[: 2 * _BORDER_PX], np.float64)
    fine = rows - cv2.blur(rows, (_BORDER_PX, 1))
    both = np.stack([rows.mean(1), fine.std(1)])
    return np.asarray(both[:, :_BORDER_PX] - both[:, _BORDER_PX:].mean(1, keepdims=True))


def lattice(pictures: Sequence[Pixels], period_px: int) -> float:
    """How far a lattice of that period (2, 4 or 8 px) stands out of its neighbours in the spectrum; 1: not at all.

    Amplitude at 1/period along columns, rows and both, over the mean of the neighbouring frequencies; the largest.
    """
    powers = np.mean([_spectrum(luma(picture)) for picture in pictures], axis=0)
    at = _TILE_PX // period_px
    steps = [step for sign in (-1, 1) for step in (sign * each for each in _NEIGHBOURS) if at + step <= _TILE_PX // 2]
    found = []
    for down, across in ((0, at), (at, 0), (at, at)):
        # Along an axis every photo has more than beside it, so neighbours are sought on the axis.
        around = [powers[down + (step if down else 0), across + (step if across else 0)] for step in steps]
        found.append(powers[down, across] / np.mean(around))
    return float(np.sqrt(max(found)))


def _spectrum(grey: Luma) -> NDArray[np.float64]:
    """Mean power of all tiles, each over its own total so that calm ones count as much as lively ones."""
    window = np.outer(np.hanning(_TILE_PX), np.hanning(_TILE_PX))
    found = []
    for top in range(0, grey.shape[0] - _TILE_PX + 1, _TILE_STEP_PX):
        for left in range(0, grey.shape[1] - _TILE_PX + 1, _TILE_STEP_PX):
            tile = grey[top : top + _TILE_PX, left : left + _TILE_PX]
            power = np.square(np.abs(np.fft.fft2((tile - tile.mean()) * window)))
            # Above a period of 20 px lies the photo; one grey value keeps a plain tile from counting infinitely.
            fine = power[_TILE_PX // 20 : _TILE_PX // 2, _TILE_PX // 20 : _TILE_PX // 2].sum() + window.sum()
            found.append(power / fine)
    return np.asarray(np.mean(found, axis=0))


def _box(grey: Luma, side: int) -> Luma:
    return np.asarray(cv2.blur(grey, (side, side), borderType=cv2.BORDER_REFLECT_101), np.float32)


def _deviation(grey: Luma, side: int) -> Luma:
    mean = _box(grey, side)
    return np.asarray(np.sqrt(np.maximum(_box(grey * grey, side) - mean * mean, 0.0)), np.float32)
