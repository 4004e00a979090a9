"""A video's noise, taken out before a style sees it: where nothing moves, a picture is averaged with those before it.

A style draws strokes along whatever it finds: on a calm wall along noise that nobody sees, and along other noise in the
next picture. Recursive averaging with a test for motion (Dubois and Sabri 1984, IEEE Trans. Commun. 32, 7), over
pictures as they come: no picture waits for a later one. On 24 frames of a hand-held clip at 640×480 it took a quarter
(wave), two fifths (starry) and a tenth (cafe) of what flickers, with noise of 3 of 255 added a half and twice a third.
"""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.frame import Frame
from producer.video import VideoSource

# What stays of the pictures before. Sums are rounded to whole values, so a change of up to 3 of 255 leaves a place as
# it is and strokes stand still, where sums with fractions flickered more (starry by 38 %, wave by 14 %).
_KEPT = 0.85
# Motion is looked for in squares of so many pixels a side, and counts for the squares around them as well.
_CELL_PX = 4
_AROUND = np.ones((3, 3), np.uint8)
# A square moves when it differs by more than so many times the noise (mean of its pixels).
_MOVES = 3.0
# Noise is what the calmest twentieth of the squares differs by, within bounds, of 255: a codec leaves many squares as
# they were, and in a picture that moves everywhere the calmest differ by more than noise.
_CALMEST = 20
_LEAST_NOISE, _MOST_NOISE = 1.0, 2.0
# Differences are counted in eighths, in eight bits: 32 of 255 and more are one.
_EIGHTHS = 8
# After so many pictures 7 % are left of what was before them.
_WARM_FRAMES = 16

Pixels = NDArray[np.uint8]


class Steady:
    """Steadies the pictures of one video, in their order. Not shared between threads."""

    def __init__(self) -> None:
        self._last: Pixels | None = None

    def settle(self, pixels: Pixels) -> Pixels:
        """Return H×W×3 uint8 `pixels` with what does not move averaged (1.5 ms at 640×480); not to be written to.

        The first picture, and the first of another size, comes back as it is.
        """
        if self._last is None or self._last.shape != pixels.shape:
            self._last = pixels
            return pixels
        moving = _moving(pixels, self._last)
        settled = np.asarray(cv2.addWeighted(self._last, _KEPT, pixels, 1.0 - _KEPT, 0.0), np.uint8)
        cv2.copyTo(pixels, moving, settled)
        self._last = settled
        return settled


class SteadyVideo:
    """The frames of a video file, steadied."""

    def __init__(self, video: VideoSource) -> None:
        self._video = video
        self.info = video.info

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """As `VideoSource.frames`; begins some frames early, so that a resumed film does not jump where it goes on."""
        steady = Steady()
        for frame in self._video.frames(max(0, start - _WARM_FRAMES)):
            settled = steady.settle(frame.pixels)
            if frame.seq >= start:
                yield replace(frame, pixels=settled)

    def close(self) -> None:
        """End a running iteration at its next frame."""
        self._video.close()


def _moving(pixels: Pixels, last: Pixels) -> Pixels:
    """Return H×W, 255 where a picture differs from the one before by more than noise, else 0."""
    height, width = pixels.shape[:2]
    more, less = _excess(pixels, last), _excess(last, pixels)
    # Noise goes both ways within a square; what makes all of it lighter or darker, as in a fade, is none.
    both = np.minimum(cv2.blur(more, _AROUND.shape), cv2.blur(less, _AROUND.shape)).ravel()
    calm = both.size // _CALMEST
    noise = 2.0 * float(np.partition(both, calm)[calm])
    noise = min(max(noise, _EIGHTHS * _LEAST_NOISE), _EIGHTHS * _MOST_NOISE)
    differs = cv2.dilate(cv2.add(more, less), _AROUND)
    _, moving = cv2.threshold(differs, _MOVES * noise, 255, cv2.THRESH_BINARY)
    return np.asarray(cv2.resize(moving, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


def _excess(one: Pixels, other: Pixels) -> Pixels:
    """Return by how much `one` is above `other`: the mean of each square and of all colours, in eighths."""
    height, width = one.shape[:2]
    above = cv2.addWeighted(one, _EIGHTHS, other, -_EIGHTHS, 0.0)
    grid = (max(1, width // _CELL_PX), max(1, height // _CELL_PX))
    return np.asarray(cv2.resize(above.reshape(height, 3 * width), grid, interpolation=cv2.INTER_AREA), np.uint8)
