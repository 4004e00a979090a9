"""What is measured of a painted picture: nearness to the painting, to the photo, steadiness from frame to frame, speed.

Distances follow Johnson 2016 (VGG-16; Grams of relu1_2, 2_2, 3_3, 4_3; content at relu3_3), each squared distance over
the squared size of its target. Flicker is the warping error of Lai 2018 with the flow taken from the source clip.
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
import torch
from numpy.typing import NDArray
from torch import Tensor

from jobs.temporal import TemporalSmoother
from pipeline.protocol.frame import Frame
from producer.denoise import TemporalDenoiser
from training.backbone import Backbone, Features
from training.losses import gram

STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
CONTENT_LAYER = "relu3_3"
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
class Distances:
    """Style distance by painting, and content distance."""

    styles: dict[str, float]
    content: float


class Eye:
    """Distances of pictures (H x W x 3 uint8 BGR) over one backbone."""

    def __init__(self, backbone: Backbone, *, is_fast: bool = True) -> None:
        self._backbone, self._is_fast = backbone, is_fast

    def grams(self, pixels: Pixels) -> Features:
        """Gram matrices of a picture."""
        return {name: gram(features)[0] for name, features in self._look(pixels).items()}

    def content(self, pixels: Pixels) -> Tensor:
        """Activations at the content layer."""
        return self._look(pixels)[CONTENT_LAYER]

    def distances(self, pixels: Pixels, content: Tensor, paintings: dict[str, Features]) -> Distances:
        """How far a painted picture is from each painting, and from its photo's content."""
        seen = self._look(pixels)
        ours = {name: gram(features)[0] for name, features in seen.items()}
        styles = {name: style_distance(ours, wanted) for name, wanted in paintings.items()}
        return Distances(styles, float((seen[CONTENT_LAYER] - content).square().sum() / content.square().sum()))

    @torch.no_grad()
    def _look(self, pixels: Pixels) -> Features:
        x = torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255.0
        # bfloat16 takes half the time and moved style by 0.04 % and content by 0.1 % on one painted photo.
        with torch.autocast("cpu", torch.bfloat16, enabled=self._is_fast):
            features: Features = self._backbone(x, STYLE_LAYERS)
        return {name: found.float() for name, found in features.items()}


def style_distance(ours: Features, wanted: Features) -> float:
    """Mean over the layers of the Grams' squared distance over the wanted one's squared size."""
    shares = [float((ours[name] - wanted[name]).square().sum() / wanted[name].square().sum()) for name in STYLE_LAYERS]
    return sum(shares) / len(shares)


def colour_transfer(photo: Pixels, painting: Pixels) -> Pixels:
    """Reinhard 2001: mean and deviation of the painting, channel by channel in Lab. The yardstick without strokes."""
    source, target = (cv2.cvtColor(x, cv2.COLOR_BGR2LAB).astype(np.float32) for x in (photo, painting))
    moved = (source - source.mean((0, 1))) / (source.std((0, 1)) + 1e-6) * target.std((0, 1)) + target.mean((0, 1))
    return np.asarray(cv2.cvtColor(moved.clip(0, 255).astype(np.uint8), cv2.COLOR_LAB2BGR), np.uint8)


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
    """Sharpen all by the least share of an unsharp mask (as `workers/canvas.py` has it) that gives `sharpness`.

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
