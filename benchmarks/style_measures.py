"""What is measured of painted films and frames: steadiness from frame to frame, sharpness, speed.

Flicker is the warping error of Lai 2018 with the flow taken from the source clip.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.temporal import TemporalSmoother
from pipeline.protocol.frame import Frame
from producer.denoise import TemporalDenoiser

# A pixel counts as seen in both frames when flow there and back miss it by less than this.
_ROUND_TRIP_PX = 1.0
_WARM_FRAMES = 3
# Sought between none and this, to a 128th of it.
_MOST_SHARPENED, _HALVINGS = 8.0, 7

Pixels = NDArray[np.uint8]
Paint = Callable[[Pixels], Pixels]
#: Where each pixel of a frame was in the one before, H×W×2 (column, row), and H×W whether it was in sight there.
Step = tuple[NDArray[np.float32], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Steadiness:
    """Root mean square change between neighbouring frames after motion is taken out; root mean square slope."""

    flicker: float
    sharpness: float


class Way(Enum):
    """How a clip is painted: every frame as it is filmed; without its noise, as cameras are; as `painter paint` paints
    a film, its strokes held together as well."""

    AS_FILMED = auto()
    LIVE = auto()
    FILM = auto()


class Clip:
    """Frames of a clip (BGR, one size) with the motion between neighbours, found once for all painters."""

    def __init__(self, frames: Sequence[Pixels], steps: Sequence[Step] | None = None) -> None:
        """`steps`: where the motion is known; otherwise it is what DIS finds."""
        self.frames = list(frames)
        self._steps = _found(self.frames) if steps is None else list(steps)

    def steadiness(self, paint: Paint, way: Way = Way.AS_FILMED, *, sharpness: float = 0.0) -> Steadiness:
        """Paint the clip and judge what comes out, sharpened until it has `sharpness` where that is asked for."""
        painted = self.painted(paint, way)
        return self.judged(as_sharp_as(sharpness, painted) if sharpness else painted)

    def painted(self, paint: Paint, way: Way = Way.AS_FILMED) -> list[Pixels]:
        """The clip's paintings."""
        return _painted(self.frames, paint, way)

    def judged(self, paintings: Sequence[Pixels]) -> Steadiness:
        """Compare each painting with its predecessor, carried along by the source's motion."""
        errors = []
        for (places, seen), (before, after) in zip(self._steps, itertools.pairwise(paintings), strict=True):
            carried = _carry(before, places)
            difference = (after.astype(np.float32) - carried.astype(np.float32))[seen]
            errors.append(float(np.square(difference).mean()))
        return Steadiness(float(np.sqrt(np.mean(errors))), _mean_sharpness(paintings))


def _found(frames: Sequence[Pixels]) -> list[Step]:
    greys = [np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8) for frame in frames]
    return [_flow(before, after) for before, after in itertools.pairwise(greys)]


def _painted(frames: Sequence[Pixels], paint: Paint, way: Way) -> list[Pixels]:
    if way is Way.AS_FILMED:
        return [paint(frame) for frame in frames]
    denoiser, smoother = TemporalDenoiser(), TemporalSmoother()
    painted = []
    for seq, pixels in enumerate(frames):
        settled = denoiser.apply(pixels)
        painting = paint(settled)
        if way is Way.FILM:
            smoother.add(Frame(seq, seq, settled))
            painting = smoother.smooth(seq, painting)
        painted.append(painting)
    return painted


def _flow(before: Pixels, after: Pixels) -> Step:
    """Where each pixel of `after` was in `before`, and which of them were visible there."""
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # The flow handed in is where the search starts: zeros, or what lies in memory leads it out of the picture.
    still = np.zeros((*after.shape, 2), np.float32)
    back, forth = finder.calc(after, before, still.copy()), finder.calc(before, after, still.copy())
    rows, columns = np.indices(after.shape, dtype=np.float32)
    places = np.stack([columns, rows], -1) + back
    returned = back + _carry(forth, places)
    inside = (places >= 0).all(-1) & (places[..., 0] < after.shape[1] - 1) & (places[..., 1] < after.shape[0] - 1)
    return places, (np.square(returned).sum(-1) < _ROUND_TRIP_PX**2) & inside


def _carry(picture: NDArray[Any], places: NDArray[np.float32]) -> NDArray[Any]:
    return cv2.remap(picture, places[..., 0], places[..., 1], cv2.INTER_LINEAR)


def as_sharp_as(sharpness: float, pictures: Sequence[Pixels]) -> list[Pixels]:
    """Sharpen all by the least share of an unsharp mask (as `workers/processing.py` has it) that gives `sharpness`.

    Raises ValueError where none does.
    """
    low, high = 0.0, _MOST_SHARPENED
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        is_sharp = _mean_sharpness([_sharpened(picture, middle) for picture in pictures]) >= sharpness
        low, high = (low, middle) if is_sharp else (middle, high)
    sharpened = [_sharpened(picture, high) for picture in pictures]
    if _mean_sharpness(sharpened) < sharpness:
        raise ValueError(f"no unsharp mask up to {_MOST_SHARPENED:g} makes these {sharpness:.0f} sharp")
    return sharpened


def _sharpened(picture: Pixels, share: float) -> Pixels:
    return np.asarray(cv2.addWeighted(picture, 1 + share, cv2.GaussianBlur(picture, (5, 5), 0), -share, 0), np.uint8)


def _mean_sharpness(pictures: Sequence[Pixels]) -> float:
    return float(np.mean([_sharpness(picture) for picture in pictures]))


def _sharpness(pixels: Pixels) -> float:
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY).astype(np.float32)
    # Squared, since the plain sum of a slope is the height of the edge, however soft the edge is.
    slopes = cv2.Sobel(grey, cv2.CV_32F, 1, 0) ** 2 + cv2.Sobel(grey, cv2.CV_32F, 0, 1) ** 2
    return float(np.sqrt(slopes.mean()))


def milliseconds(paint: Paint, frame: Pixels, *, repeats: int) -> float:
    """Median time of one frame after the first three."""
    for _ in range(_WARM_FRAMES):
        paint(frame)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        paint(frame)
        times.append(time.perf_counter() - started)
    return float(np.median(times) * 1e3)
