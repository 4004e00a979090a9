"""How the pictures of a video move, from each to the next: what a painting needs to go along with what it shows.

Dense inverse search (Kroeger 2016, arXiv 1603.03590) at a quarter of the size, where it finds movements of a
tenth of a pixel of the whole: beside half and eighth of the size it was steadiest for its time.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.flow_field import CELL_PX, Motion, sameness

# Pixels, at a quarter of the size, between the patches that are looked for; they are 8 wide.
_STRIDE = 6
# Below that many squares a side there is no room for a patch to move in.
_LEAST_CELLS = 16
# A square is the same when it and those around it (20×20 pixels) differ by less than half of this on average, of 255,
# and another one from there on. Where there is little to see, little is a difference.
_DIFFERS, _LEAST_DIFFERS = 12.0, 3.0
_AROUND = (5, 5)
# And when none beside it differs by half of this: what is small moves away within the mean of what is around it.
_ONE_DIFFERS = 32.0
_BESIDE = np.ones((3, 3), np.uint8)
# What explains a square no better than standing still does by so much, of 255, is a neighbour's motion: a flat wall
# would go along with whoever walks past it.
_BETTER = 0.3

Pixels = NDArray[np.uint8]
_Map = NDArray[np.float32]


class MotionFinder:
    """Finds the motion in the pictures of one video, in their order. Not shared between threads."""

    def __init__(self) -> None:
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        # As fine as it is given: the preset stops at a quarter of that.
        self._search.setFinestScale(0)
        self._search.setPatchStride(_STRIDE)
        self._last: Pixels | None = None

    def follow(self, pixels: Pixels) -> Motion | None:
        """Return how H×W×3 uint8 `pixels` came from the picture before; 3 to 5 ms at 640×480.

        None where nothing can be said: for the first picture, the first of another size, and very small ones.
        """
        height, width = (side // CELL_PX for side in pixels.shape[:2])
        if min(height, width) < _LEAST_CELLS:
            return None
        small = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        last, self._last = self._last, small
        if last is None or last.shape != small.shape:
            return None
        before, after = (cv2.cvtColor(x, cv2.COLOR_BGR2GRAY) for x in (last, small))
        # The flow handed in is where the search starts: what lies in memory would lead it out of the picture.
        flow = np.asarray(self._search.calc(after, before, np.zeros((height, width, 2), np.float32)), np.float32)
        return _judged(last, small, flow)


def _judged(last: Pixels, small: Pixels, flow: _Map) -> Motion:
    """Return the flow, none where standing still explains as much, with where what was there shows the same."""
    height, width = small.shape[:2]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    columns, rows = columns + flow[..., 0], rows + flow[..., 1]
    carried = cv2.remap(last, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    moved, still = _difference(carried, small), _difference(last, small)
    stays = cv2.blur(still, _AROUND) <= cv2.blur(moved, _AROUND) + _BETTER
    flow[stays] = 0.0
    differs = np.where(stays, still, moved)
    grey = small.mean(-1, dtype=np.float32)
    contrast = np.sqrt(np.maximum(cv2.blur(grey * grey, _AROUND) - cv2.blur(grey, _AROUND) ** 2, 0.0))
    bound = np.clip(_LEAST_DIFFERS + contrast, _LEAST_DIFFERS, _DIFFERS)
    around, beside = (np.asarray(x, np.float32) for x in (cv2.blur(differs, _AROUND), cv2.dilate(differs, _BESIDE)))
    trust = np.minimum(sameness(around, bound), sameness(beside, _ONE_DIFFERS))
    outside = (columns < 0) | (columns > width - 1) | (rows < 0) | (rows > height - 1)
    trust[outside & ~stays] = 0.0
    return Motion(flow, trust)


def _difference(one: Any, other: Pixels) -> _Map:
    """Return how far squares are apart in the colour that differs most."""
    return np.asarray(cv2.absdiff(one, other).max(-1), np.float32)
