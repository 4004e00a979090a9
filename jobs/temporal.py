"""Strokes that go along with what they lie on: of each painted picture of a video, most is the one before it, moved.

A style paints every picture anew, and strokes that settle elsewhere flicker. Where the source shows what it showed
before, the last painting is carried along by the source's motion and mixed with the new one (as Ruder 2016, arXiv
1604.08610, but after painting: workers keep no memory, frames may be painted anywhere). What is new stands as it is.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.flow_field import Motion, sameness
from pipeline.protocol.frame import Look

# What stays of the picture before, where it is trusted: 0.7 flickered 6 to 13 % more, 0.9 lagged a quarter more behind
# changes and was no steadier for its sharpness. Less of it where things move fast (a half from 4 px a frame on) was
# a third less steady.
_KEPT = 0.8
# Squares whose colour, without strokes, differs by more than half of this, of 255, are given up more and more: there
# the painting changed although its source hardly did.
_COLOUR_DIFFERS = 20.0
# Mixed strokes fade where they did not match. A stroke is what a mean over so many pixels takes away; it gets back
# the height it is painted with, up to so many times its own: sharpness of four films 0.79–0.98 to 0.95–1.0 of what
# was painted, at the same flicker for it.
_STROKE_PX, _MOST_RAISED = 9, 1.5
_AROUND = (9, 9)
# Half the size is enough for colour, as in the video that is written.
_COLOUR_PX = 2

Pixels = NDArray[np.uint8]
_Map = NDArray[np.float32]


class Carry:
    """Carries the strokes of one painted video along, in its order. Not shared between threads."""

    def __init__(self, look: Look | None = None) -> None:
        """`look`: how the pictures are painted; what is the source's own does not flicker and is not carried."""
        look = look or Look()
        self._kept, self._keep_colours = _KEPT * look.strength, look.keep_colours
        self._last: tuple[Pixels, Pixels] | None = None

    def on(self, painted: Pixels, motion: Motion | None) -> Pixels:
        """Return the H×W×3 uint8 BGR picture with the strokes of the last one where `motion`, its source's, takes
        them; 8 to 14 ms at 640×480. As it is where there is no motion to go by."""
        luma, colour = _split(painted)
        last, self._last = self._last, (luma, colour)
        if last is None or motion is None or last[0].shape != luma.shape:
            return painted
        moved_luma, moved_colour = _moved(last[0], motion.flow), _moved(last[1], motion.flow)
        changed = _changed(moved_colour, colour, motion.trust.shape)
        trust = self._kept * motion.trust * sameness(np.abs(changed).max(-1), _COLOUR_DIFFERS)
        mixed = _mix(_lit(moved_luma, changed[..., 0]), luma, trust)
        if not self._keep_colours:
            colour = _mix(_lit(moved_colour, changed), colour, trust)
        self._last = (mixed, colour)
        return _join(_raised(mixed, luma, trust.shape), colour)


def _split(picture: Pixels) -> tuple[Pixels, Pixels]:
    """Return luma, and the picture in luma and chroma at half its size."""
    both = cv2.cvtColor(picture, cv2.COLOR_BGR2YCrCb)
    half = (max(1, picture.shape[1] // _COLOUR_PX), max(1, picture.shape[0] // _COLOUR_PX))
    colour = cv2.resize(both, half, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.extractChannel(both, 0), np.uint8), np.asarray(colour, np.uint8)


def _join(luma: Pixels, colour: Pixels) -> Pixels:
    both = _resized(colour, luma.shape)
    cv2.insertChannel(luma, both, 0)
    return np.asarray(cv2.cvtColor(both, cv2.COLOR_YCrCb2BGR), np.uint8)


def _moved(picture: Pixels, flow: _Map) -> Pixels:
    """Return the picture, of any size, carried along. Luma cubic: linear cost up to a seventh of sharpness."""
    # Not four: what is left over at the side makes squares of 427 pixels a fifth of a percent wider.
    height, width = (side / cells for side, cells in zip(picture.shape[:2], flow.shape[:2], strict=True))
    columns, rows = (
        _resized(flow[..., axis] * np.float32(px), picture.shape) for axis, px in ((0, width), (1, height))
    )
    columns += np.arange(picture.shape[1], dtype=np.float32)
    rows += np.arange(picture.shape[0], dtype=np.float32)[:, None]
    # A 32nd of a pixel is what the floats would be rounded to, in twice the time.
    places, parts = cv2.convertMaps(columns, rows, cv2.CV_16SC2)
    between = cv2.INTER_CUBIC if picture.ndim == 2 else cv2.INTER_LINEAR
    return np.asarray(cv2.remap(picture, places, parts, between, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _changed(moved: Pixels, painted: Pixels, cells: tuple[int, ...]) -> _Map:
    """Return by how much luma and chroma around each square, strokes apart, are another than in the picture before."""
    return np.asarray(cv2.blur(_shrunk(painted, cells) - _shrunk(moved, cells), _AROUND), np.float32)


def _lit(moved: Pixels, changed: _Map) -> Pixels:
    """Return the picture with that added: a fade is not to lag."""
    return np.asarray(cv2.add(moved, _resized(changed, moved.shape), dtype=cv2.CV_8U), np.uint8)


def _raised(mixed: Pixels, painted: Pixels, cells: tuple[int, ...]) -> Pixels:
    """Return luma with strokes as high as they were painted."""
    flat, wanted = (cv2.blur(x, (_STROKE_PX, _STROKE_PX)) for x in (mixed, painted))
    has, should = _height(mixed, flat, cells), _height(painted, wanted, cells)
    times = _resized(np.clip((should + 1.0) / (has + 1.0), 1.0, _MOST_RAISED), mixed.shape)
    return np.asarray(cv2.blendLinear(mixed, flat, times, 1.0 - times), np.uint8)


def _height(luma: Pixels, flat: NDArray[Any], cells: tuple[int, ...]) -> _Map:
    """Return how far strokes are from the mean around them, in each square and those around it."""
    return np.asarray(cv2.blur(_shrunk(cv2.absdiff(luma, flat), cells), _AROUND), np.float32)


def _mix(moved: Pixels, painted: Pixels, trust: _Map) -> Pixels:
    share = _resized(trust, painted.shape)
    return np.asarray(cv2.blendLinear(moved, painted, share, 1.0 - share), np.uint8)


def _shrunk(values: NDArray[Any], shape: tuple[int, ...]) -> _Map:
    return np.asarray(cv2.resize(values, (shape[1], shape[0]), interpolation=cv2.INTER_AREA), np.float32)


def _resized(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    return np.asarray(cv2.resize(values, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR))
