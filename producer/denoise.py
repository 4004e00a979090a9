"""A video's noise, taken out before a style sees it: where nothing moves, a picture is averaged with those before it.

A style draws strokes along whatever it finds: on a calm wall along noise that nobody sees, and along other noise in the
next picture. Recursive averaging with a test for motion (Dubois and Sabri 1984, IEEE COM-32, 7), over
pictures as they come: no picture waits for a later one. What is small and faint may be smoothed while it moves.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.protocol.frame import Frame, Landmark
from producer.animation import AnimationSource
from producer.video import VideoSource

# What stays of the pictures before. Sums are rounded to whole values, so a change of up to 3 of 255 leaves a place as
# it is and strokes stand still, where sums with fractions flickered more (starry by 38 %, wave by 14 %).
_KEPT = 0.85
# Motion is looked for in squares of so many pixels a side, and counts for the squares around them as well.
_CELL_PX = 4
_AROUND = np.ones((3, 3), np.uint8)
# A square moves when it differs by more than so many times the noise (mean of its pixels and colours).
_MOVES = 3.0
# Noise is what the calmest twentieth of the squares differs by, within bounds, of 255: a codec leaves many squares as
# they were, and in a picture that moves everywhere the calmest differ by more than noise.
_CALMEST = 20
_LEAST_NOISE, _MOST_NOISE = 1.0, 2.0
# Bars and what is clipped have none to show.
_BLACK, _WHITE = 8, 247
# Differences are counted in quarters, in eight bits: 64 of 255 and more are one.
_QUARTERS = 4
# A fade or a camera's exposure: light that changes by more than this, of 255, is followed. Fitted to some pixels, again
# without those that missed by more than so much: they have moved.
_LIGHT = 0.5
_SAMPLES, _OUTLIER = 1200, 12.0
#: From here on a film that is resumed goes on as it would have: but for places that noise left up to 3 of 255 apart.
WARM_UP_FRAMES = 16

Pixels = NDArray[np.uint8]


class TemporalDenoiser:
    """Steadies the pictures of one video, in their order. Not shared between threads."""

    def __init__(self) -> None:
        self._last: Pixels | None = None

    def apply(self, pixels: Pixels) -> Pixels:
        """Return H×W×3 uint8 `pixels` with what does not move averaged (2 ms at 640×480); not to be written to.

        The first picture, and the first of another size, comes back as it is.
        """
        if self._last is None or self._last.shape != pixels.shape or min(pixels.shape[:2]) < _CELL_PX:
            self._last = pixels
            return pixels
        gain, shift = _light(pixels, self._last)
        settled = cv2.addWeighted(self._last, _KEPT * gain, pixels, 1.0 - _KEPT, _KEPT * shift)
        cv2.copyTo(pixels, _moving(pixels, self._last, gain, shift), settled)
        self._last = np.asarray(settled, np.uint8)
        return self._last


class DenoisedVideo:
    """The frames of a video file, steadied."""

    def __init__(self, video: VideoSource | AnimationSource) -> None:
        self._video = video
        self.info = video.info

    def frames(self, start: int = 0, landmark: Landmark | None = None) -> Iterator[Frame]:
        """As `VideoSource.frames`; begins some frames early, so that a resumed film hardly jumps where it goes on."""
        denoiser = TemporalDenoiser()
        for frame in self._video.frames(max(0, start - WARM_UP_FRAMES), landmark):
            settled = denoiser.apply(frame.pixels)
            if frame.seq >= start:
                yield replace(frame, pixels=settled)

    def close(self) -> None:
        """End a running iteration at its next frame."""
        self._video.close()


def _light(pixels: Pixels, last: Pixels) -> tuple[float, float]:
    """Return gain and shift with which the light of the picture before becomes this one's; 1 and 0 where it stayed."""
    apart = max(1, math.isqrt(pixels.shape[0] * pixels.shape[1] // _SAMPLES))
    after, before = (x[::apart, ::apart].ravel().astype(np.float32) for x in (pixels, last))
    gain, shift = _line(before, after)
    for _ in range(2):
        fits = np.abs(gain * before + shift - after) < _OUTLIER
        gain, shift = _line(before[fits], after[fits])
    stays = max(abs(shift), abs(255.0 * (gain - 1.0) + shift)) < _LIGHT
    return (1.0, 0.0) if stays else (gain, shift)


def _line(x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[float, float]:
    """Return slope and offset of the least squares of y over x."""
    if x.size == 0:
        return 1.0, 0.0
    mean_x, mean_y = float(x.mean()), float(y.mean())
    spread = float(np.square(x - mean_x).mean())
    slope = float(((x - mean_x) * (y - mean_y)).mean()) / spread if spread > 1.0 else 1.0
    return slope, mean_y - slope * mean_x


def _moving(pixels: Pixels, last: Pixels, gain: float, shift: float) -> Pixels:
    """Return H×W, 255 where a picture differs from the one before by more than noise, else 0.

    The last rows and columns that fill no square are said to move.
    """
    height, width = pixels.shape[:2]
    lighter = cv2.addWeighted(pixels, _QUARTERS, last, -_QUARTERS * gain, -_QUARTERS * shift)
    darker = cv2.addWeighted(pixels, -_QUARTERS, last, _QUARTERS * gain, _QUARTERS * shift)
    more, less = (_squares(np.asarray(x, np.uint8)) for x in (lighter, darker))
    differs = cv2.dilate(cv2.add(more, less), _AROUND)
    _, moving = cv2.threshold(differs, _MOVES * _noise(pixels, more, less), 255, cv2.THRESH_BINARY)
    rows, columns = (_CELL_PX * side for side in more.shape)
    moving = cv2.resize(moving, (columns, rows), interpolation=cv2.INTER_NEAREST)
    if (rows, columns) != (height, width):
        rest = (0, height - rows, 0, width - columns)
        moving = cv2.copyMakeBorder(moving, *rest, cv2.BORDER_CONSTANT, value=255)
    return np.asarray(moving, np.uint8)


def _squares(pixels: Pixels) -> Pixels:
    """Return the mean of each whole square over its pixels and colours."""
    height, width = pixels.shape[:2]
    rows, columns = height // _CELL_PX, width // _CELL_PX
    lines = pixels.reshape(height, 3 * width)[: rows * _CELL_PX, : 3 * columns * _CELL_PX]
    return np.asarray(cv2.resize(lines, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _noise(pixels: Pixels, more: Pixels, less: Pixels) -> float:
    """Return the noise in quarters. It goes both ways within a square and those around it: what makes all of them
    lighter, or darker, is none."""
    both = np.minimum(cv2.blur(more, _AROUND.shape), cv2.blur(less, _AROUND.shape))
    inner = pixels[_CELL_PX // 2 :: _CELL_PX, _CELL_PX // 2 :: _CELL_PX, 1][: both.shape[0], : both.shape[1]]
    shows = both[(inner > _BLACK) & (inner < _WHITE)]
    calm = shows.size // _CALMEST
    noise = 2.0 * float(np.partition(shows, calm)[calm]) if shows.size else 0.0
    return min(max(noise, _QUARTERS * _LEAST_NOISE), _QUARTERS * _MOST_NOISE)
