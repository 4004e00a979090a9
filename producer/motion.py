"""How the pictures of a video move, from each to the next: what a painting needs to go along with what it shows.

Dense inverse search (Kroeger 2016, arXiv 1603.03590) at a quarter of the size, where it finds movements of a
tenth of a pixel of the whole: beside half and eighth of the size it was steadiest for its time.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.motion import CELL_PX, Motion

# Pixels, at a quarter of the size, between the patches that are looked for; they are 8 wide.
_STRIDE = 6
# Below that many squares a side there is no room for a patch to move in.
_LEAST_CELLS = 16
# A square is the same when what it was differs by less than half of this, of 255, and another one from there on.
_DIFFERS = 12.0
# Mean of the colours, as one number a pixel.
_MEAN = np.full((1, 3), 1 / 3, np.float32)
_AROUND = (5, 5)


class MotionFinder:
    """Finds the motion in the pictures of one video, in their order. Not shared between threads."""

    def __init__(self) -> None:
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        # As fine as it is given: the preset stops at a quarter of that.
        self._search.setFinestScale(0)
        self._search.setPatchStride(_STRIDE)
        self._last: NDArray[np.uint8] | None = None

    def follow(self, pixels: NDArray[np.uint8]) -> Motion | None:
        """Return how H×W×3 uint8 `pixels` came from the picture before; 2 to 4 ms at 640×480.

        None where nothing can be said: for the first picture, the first of another size, and very small ones.
        """
        height, width = (side // CELL_PX for side in pixels.shape[:2])
        if min(height, width) < _LEAST_CELLS:
            return None
        last, small = (
            self._last,
            np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8),
        )
        self._last = small
        if last is None or last.shape != small.shape:
            return None
        before, after = (cv2.cvtColor(x, cv2.COLOR_BGR2GRAY) for x in (last, small))
        # The flow handed in is where the search starts: what lies in memory would lead it out of the picture.
        flow = np.asarray(self._search.calc(after, before, np.zeros((height, width, 2), np.float32)), np.float32)
        return Motion(flow, _trust(last, small, flow))


def _trust(last: NDArray[np.uint8], small: NDArray[np.uint8], flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return where the picture before, carried along, shows the same as this one."""
    height, width = small.shape[:2]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    columns, rows = columns + flow[..., 0], rows + flow[..., 1]
    carried = cv2.remap(last, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    differs = cv2.blur(cv2.transform(cv2.absdiff(carried, small), _MEAN), _AROUND).astype(np.float32)
    trust = np.clip(2.0 - differs * (2.0 / _DIFFERS), 0.0, 1.0)
    trust[(columns < 0) | (columns > width - 1) | (rows < 0) | (rows > height - 1)] = 0.0
    return np.asarray(trust, np.float32)
