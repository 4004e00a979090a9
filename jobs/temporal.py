"""Temporal consistency of a painted video: optical flow between source frames, and blending of painted frames along it.

A style paints every frame anew, and strokes that settle elsewhere flicker. Where the source shows what it showed in
the previous frame, the previous painted frame is warped along the source's optical flow and blended with the current
one (as Ruder 2016, arXiv 1604.08610, but after painting: workers keep no state, any worker may paint any frame). New
content stays as it was painted. The flow is dense inverse search (Kroeger 2016, arXiv 1603.03590).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.protocol.frame import Frame, Look

#: Warm-up frames painted before a resume point. After 8 frames the missing history contributes 17 % (0.8⁸).
WARM_UP_FRAMES = 8
#: Side of the square cells for which flow and confidence are estimated. At a quarter of the size flow resolves a tenth
#: of a source pixel; compared with half and an eighth it was steadiest for its time.
CELL_PX = 4

# -- optical flow --
# Distance of the searched patches, in cells; each is 8 wide.
_STRIDE = 6
# Smaller frames leave no room for a patch to move in, in cells a side.
_LEAST_CELLS = 16
# A cell is the same when its neighbourhood (20×20 pixels) differs by less than half of this on average, of 255, and
# another from the whole of it on. With little contrast, a small difference counts.
_DIFFERS, _LEAST_DIFFERS = 12.0, 3.0
_FLOW_AROUND = (5, 5)
# And no neighbour may differ by half of this: a small thing that moves away vanishes in the mean around it.
_ONE_DIFFERS = 32.0
_NEIGHBOURS = np.ones((3, 3), np.uint8)
# A flow that explains a cell by less than this better, of 255, than standing still is a neighbour's motion: a flat
# wall would follow a person who walks past it.
_BETTER = 0.3
_MEAN = np.full((1, 3), 1 / 3, np.float32)

# -- blending --
# Weight of the previous painted frame at full confidence: 0.7 flickered 6 to 13 % more, 0.9 lagged a quarter more
# behind changes and was no steadier for its sharpness. A weight lowered with speed (half at 4 px a frame) was a third
# less steady.
_WEIGHT = 0.8
# Confidence falls where colour, strokes averaged out, differs by more than half of this, of 255: there the painting
# changed although its source hardly did.
_COLOUR_DIFFERS = 20.0
# Blended strokes fade where they did not match. Detail finer than a mean over so many pixels is amplified up to the
# contrast it was painted with, at most by this factor: sharpness of four films 0.79–0.98 → 0.95–1.0 of what was
# painted, at the same flicker for it.
_STROKE_PX, _MOST_AMPLIFIED = 9, 1.5
_BLEND_AROUND = (9, 9)
# Colour is blended at half the size, the resolution it has in the written video.
_COLOUR_PX = 2

Pixels = NDArray[np.uint8]
_Map = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Flow:
    """Per 4×4 px cell: backward optical flow to the previous frame, in cells, and its confidence.

    `vectors`: h×w×2 float32, (x, y) to go back; `confidence`: h×w float32, 0 (new content, or unsure) to 1 (the same).
    """

    vectors: NDArray[np.float32]
    confidence: NDArray[np.float32]


class TemporalSmoother:
    """One film's. One thread adds its frames in order, another smooths their paintings in order."""

    def __init__(self, look: Look | None = None) -> None:
        self._estimator, self._blender = FlowEstimator(), TemporalBlender(look)
        # Of frames that are being painted: 230 KB each at 640×480.
        self._flows: dict[int, Flow | None] = {}

    def add(self, frame: Frame) -> None:
        """Estimate the flow from the previous frame to `frame`."""
        self._flows[frame.seq] = self._estimator.update(frame.pixels)

    def smooth(self, seq: int, painted: Pixels) -> Pixels:
        """Return the painting of a frame that was added, blended with the previous painting along the source's flow."""
        return self._blender.blend(painted, self._flows.pop(seq))


class FlowEstimator:
    """Estimates the optical flow in the frames of one video, in their order. Not shared between threads."""

    def __init__(self) -> None:
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        # Full resolution of the cells: the preset stops at a quarter of it.
        self._search.setFinestScale(0)
        self._search.setPatchStride(_STRIDE)
        self._last: tuple[Pixels, Pixels] | None = None  # small, and its grey

    def update(self, pixels: Pixels) -> Flow | None:
        """Return the flow from the previous frame to H×W×3 uint8 `pixels`; 3 ms at 640×480, 19 at 1920×1080.

        None where there is none: for the first frame, the first of another size, and very small ones.
        """
        height, width = (side // CELL_PX for side in pixels.shape[:2])
        if min(height, width) < _LEAST_CELLS:
            return None
        small = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        after = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
        previous, self._last = self._last, (small, after)
        if previous is None or previous[0].shape != small.shape:
            return None
        last, before = previous
        # The array passed in is the search's starting point: uninitialised memory would lead it out of the frame.
        vectors = np.asarray(self._search.calc(after, before, np.zeros((height, width, 2), np.float32)), np.float32)
        return _with_confidence(last, small, vectors)


class TemporalBlender:
    """Blends each painted frame of one video with the previous one, in their order. Not shared between threads."""

    def __init__(self, look: Look | None = None) -> None:
        """`look`: how frames are painted; the share that is the source's own does not flicker and is not blended."""
        look = look or Look()
        self._weight, self._keep_colours = _WEIGHT * look.strength, look.keep_colours
        self._last: tuple[Pixels, Pixels] | None = None

    def blend(self, painted: Pixels, flow: Flow | None) -> Pixels:
        """Return the H×W×3 uint8 BGR frame blended with the previous one, warped along `flow`, its source's.

        8 to 14 ms at 640×480. Unchanged without a flow.
        """
        luma, colour = _split(painted)
        last, self._last = self._last, (luma, colour)
        if last is None or flow is None or last[0].shape != luma.shape:
            return painted
        warped_luma, warped_colour = _warped(last[0], flow.vectors), _warped(last[1], flow.vectors)
        changed = _change(warped_colour, colour, flow.confidence.shape)
        confidence = self._weight * flow.confidence * similarity(np.abs(changed).max(-1), _COLOUR_DIFFERS)
        mixed = _mix(_relit(warped_luma, changed[..., 0]), luma, confidence)
        if not self._keep_colours:
            colour = _mix(_relit(warped_colour, changed), colour, confidence)
        self._last = (mixed, colour)
        return _merge(_amplified(mixed, luma, confidence.shape), colour)


def similarity(differs: NDArray[np.float32], bound: NDArray[np.float32] | float) -> NDArray[np.float32]:
    """Return 1 where `differs` is at most half of `bound`, 0 from `bound` on, and a linear ramp between."""
    return np.asarray(np.clip(2.0 - differs * (2.0 / bound), 0.0, 1.0), np.float32)


# -- optical flow ------------------------------------------------------------------------------------------------------


def _with_confidence(last: Pixels, small: Pixels, vectors: _Map) -> Flow:
    """Return the flow, zero where standing still explains as much, with its confidence."""
    height, width = small.shape[:2]
    grid_x, grid_y = _grid(height, width)
    columns, rows = (cv2.add(vectors[..., axis], grid) for axis, grid in ((0, grid_x), (1, grid_y)))
    warped = cv2.remap(last, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    moved, still = _difference(warped, small), _difference(last, small)
    stays = cv2.compare(_mean_around(still), _mean_around(moved) + np.float32(_BETTER), cv2.CMP_LE)
    vectors[stays > 0] = 0.0
    differs = cv2.copyTo(still, stays, moved)
    around = np.minimum(
        similarity(_mean_around(differs), _bound(small)),
        similarity(np.asarray(cv2.dilate(differs, _NEIGHBOURS), np.float32), _ONE_DIFFERS),
    )
    outside = (columns < 0) | (columns > width - 1) | (rows < 0) | (rows > height - 1)
    around[outside & (stays == 0)] = 0.0
    return Flow(vectors, np.asarray(around, np.float32))


def _bound(small: Pixels) -> _Map:
    """Return the difference from which on a cell is another: more where there is contrast."""
    grey = cv2.transform(small.astype(np.float32), _MEAN)
    mean = cv2.blur(grey, _FLOW_AROUND)
    variance = cv2.subtract(cv2.blur(cv2.multiply(grey, grey), _FLOW_AROUND), cv2.multiply(mean, mean))
    contrast = np.sqrt(np.maximum(variance, 0.0))
    return np.asarray(np.minimum(contrast + np.float32(_LEAST_DIFFERS), _DIFFERS), np.float32)


def _difference(one: Any, other: Pixels) -> Pixels:
    """Return the difference of each cell in the colour channel that differs most."""
    blue, green, red = cv2.split(cv2.absdiff(one, other))
    return np.asarray(cv2.max(cv2.max(blue, green), red), np.uint8)


def _mean_around(values: Any) -> _Map:
    return np.asarray(cv2.boxFilter(values, cv2.CV_32F, _FLOW_AROUND), np.float32)


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> tuple[_Map, _Map]:
    """Return each place's column and row."""
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return columns, rows


# -- blending ----------------------------------------------------------------------------------------------------------


def _split(picture: Pixels) -> tuple[Pixels, Pixels]:
    """Return luma, and luma and chroma together at half the size."""
    both = cv2.cvtColor(picture, cv2.COLOR_BGR2YCrCb)
    half = (max(1, picture.shape[1] // _COLOUR_PX), max(1, picture.shape[0] // _COLOUR_PX))
    colour = cv2.resize(both, half, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.extractChannel(both, 0), np.uint8), np.asarray(colour, np.uint8)


def _merge(luma: Pixels, colour: Pixels) -> Pixels:
    both = _resized(colour, luma.shape)
    cv2.insertChannel(luma, both, 0)
    return np.asarray(cv2.cvtColor(both, cv2.COLOR_YCrCb2BGR), np.uint8)


def _warped(picture: Pixels, vectors: _Map) -> Pixels:
    """Return the picture, of any size, warped along the flow. Luma cubic: linear cost up to a seventh of sharpness."""
    # Not CELL_PX: the rest at the side makes the cells of 427 pixels a fifth of a percent wider.
    height, width = (side / cells for side, cells in zip(picture.shape[:2], vectors.shape[:2], strict=True))
    columns, rows = (
        _resized(vectors[..., axis] * np.float32(px), picture.shape) for axis, px in ((0, width), (1, height))
    )
    columns += np.arange(picture.shape[1], dtype=np.float32)
    rows += np.arange(picture.shape[0], dtype=np.float32)[:, None]
    # Fixed point, to a 32nd of a pixel: floats are rounded to the same, in twice the time.
    places, parts = cv2.convertMaps(columns, rows, cv2.CV_16SC2)
    between = cv2.INTER_CUBIC if picture.ndim == 2 else cv2.INTER_LINEAR
    return np.asarray(cv2.remap(picture, places, parts, between, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _change(warped: Pixels, painted: Pixels, cells: tuple[int, ...]) -> _Map:
    """Return by how much luma and chroma around each cell, strokes averaged out, changed since the previous frame."""
    return np.asarray(cv2.blur(_shrunk(painted, cells) - _shrunk(warped, cells), _BLEND_AROUND), np.float32)


def _relit(warped: Pixels, changed: _Map) -> Pixels:
    """Return the picture with the change added, so that a fade does not lag."""
    return np.asarray(cv2.add(warped, _resized(changed, warped.shape), dtype=cv2.CV_8U), np.uint8)


def _amplified(mixed: Pixels, painted: Pixels, cells: tuple[int, ...]) -> Pixels:
    """Return luma with the stroke contrast it was painted with."""
    flat, wanted = (cv2.blur(x, (_STROKE_PX, _STROKE_PX)) for x in (mixed, painted))
    has, should = _stroke_contrast(mixed, flat, cells), _stroke_contrast(painted, wanted, cells)
    gain = _resized(np.clip((should + 1.0) / (has + 1.0), 1.0, _MOST_AMPLIFIED), mixed.shape)
    return np.asarray(cv2.blendLinear(mixed, flat, gain, 1.0 - gain), np.uint8)


def _stroke_contrast(luma: Pixels, flat: NDArray[Any], cells: tuple[int, ...]) -> _Map:
    """Return the mean distance from the local mean, in the neighbourhood of each cell."""
    return np.asarray(cv2.blur(_shrunk(cv2.absdiff(luma, flat), cells), _BLEND_AROUND), np.float32)


def _mix(warped: Pixels, painted: Pixels, confidence: _Map) -> Pixels:
    share = _resized(confidence, painted.shape)
    return np.asarray(cv2.blendLinear(warped, painted, share, 1.0 - share), np.uint8)


def _shrunk(values: NDArray[Any], shape: tuple[int, ...]) -> _Map:
    return np.asarray(cv2.resize(values, (shape[1], shape[0]), interpolation=cv2.INTER_AREA), np.float32)


def _resized(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    return np.asarray(cv2.resize(values, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR))
