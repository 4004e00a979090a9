"""A film's strokes held together from frame to frame: its motion, found as it is read, brought to its paintings."""

import numpy as np
from numpy.typing import NDArray

from jobs.flow_field import Motion
from jobs.optical_flow import MotionFinder
from jobs.temporal import Carry
from pipeline.protocol.frame import Frame, Look

#: A film that is resumed paints so many frames before the first it wants: what the first of these could not know is
#: 17 % of a stroke by then.
LEAD_FRAMES = 8


class Coherence:
    """One film's. Frames are read in order by one thread and their paintings held in order by another."""

    def __init__(self, look: Look | None = None) -> None:
        self._finder, self._carry = MotionFinder(), Carry(look)
        # Of frames that are being painted: 230 KB each at 640×480.
        self._motions: dict[int, Motion | None] = {}

    def read(self, frame: Frame) -> None:
        """Note how the frame came from the one before it."""
        self._motions[frame.seq] = self._finder.follow(frame.pixels)

    def hold(self, seq: int, painted: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the painting of a frame that was read, its strokes where the last one's have gone."""
        return self._carry.on(painted, self._motions.pop(seq))
