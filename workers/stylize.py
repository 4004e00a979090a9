"""From any picture to its painting: shrink to the brush, tone curve, pad, tile, paint, crop, sharpen, enlarge, look.

Invariant: the result has the source's shape, and tiling does not show, because tiles start on the network's grid
and are cut where both neighbours see the same surroundings.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, product

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.protocol.brush import painting_size
from pipeline.protocol.frame import Look
from workers.dark import kept_dark, leave_bars
from workers.engine import Engine
from workers.enlarge import enlarged, resized

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Span:
    """One tile along one axis: painted over `start:stop`, kept over `keep_start:keep_stop`."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


def stylize(
    engine: Engine,
    pixels: Pixels,
    look: Look,
    *,
    tile_pixels: int,
    progress: Callable[[], None] = lambda: None,
) -> Pixels:
    """Return the painting of H×W×3 uint8 BGR `pixels` (any size from 1×1), same shape.

    `tile_pixels`: the largest picture handed to the engine at once, in pixels. `progress` is called after each tile.
    """
    if look.strength == 0:
        return pixels.copy()
    width, height = size = painting_size(pixels.shape[1], pixels.shape[0], look.brush)
    fitting = resized(pixels, size)
    prepared = _pad(engine.processing.before(fitting), engine.multiple)
    painted = engine.processing.after(_paint(engine, prepared, tile_pixels, progress)[:height, :width])
    painted = kept_dark(painted, fitting)
    if fitting is not pixels:
        painted = enlarged(painted, pixels)
        progress()
    leave_bars(painted, pixels)
    return apply_look(pixels, painted, look)


def tile_size(engine: Engine, height: int, width: int, tile_pixels: int) -> int:
    """Return how many pixels of an H×W picture the engine is handed at once within `tile_pixels`.

    More than that where smaller tiles would be mostly margin.
    """
    rows, columns = _grid(_padded(height, engine.multiple), _padded(width, engine.multiple), engine, tile_pixels)
    return (rows[0].stop - rows[0].start) * (columns[0].stop - columns[0].start)


def apply_look(source: Pixels, painted: Pixels, look: Look) -> Pixels:
    """Give `painted` the source's chroma if asked, then mix it over the source at `look.strength`; contiguous."""
    if look.keep_colours:
        # Luma and chroma as JPEG has them (BT.601 full range), so the next encoder loses nothing more.
        mixed = cv2.cvtColor(source, cv2.COLOR_BGR2YCrCb)
        cv2.insertChannel(cv2.extractChannel(cv2.cvtColor(painted, cv2.COLOR_BGR2YCrCb), 0), mixed, 0)
        painted = np.asarray(cv2.cvtColor(mixed, cv2.COLOR_YCrCb2BGR), np.uint8)
    if look.strength < 1:
        blended = cv2.addWeighted(painted, look.strength, source, 1 - look.strength, 0)
        painted = np.asarray(blended, np.uint8)
    return np.ascontiguousarray(painted)


def spans(length: int, count: int, *, multiple: int, overlap: int) -> tuple[Span, ...]:
    """Cut `length` (a multiple of `multiple`) into `count` equally long tiles that overlap by at least 2 × `overlap`.

    Equal lengths matter: an engine compiles once per size.
    """
    if count == 1:
        return (Span(0, length, 0, length),)
    tile = _tile_length(length, count, multiple=multiple, overlap=overlap)
    last = length - tile
    starts = [round(last * i / (count - 1) / multiple) * multiple for i in range(count)]
    # A cut lies in the middle of what two neighbours share, hence at least `overlap` away from both tiles' edges.
    cuts = [0, *((starts[i] + starts[i - 1] + tile) // 2 for i in range(1, count)), length]
    return tuple(Span(s, s + tile, a, b) for s, (a, b) in zip(starts, pairwise(cuts), strict=True))


def _tile_length(length: int, count: int, *, multiple: int, overlap: int) -> int:
    # One `multiple` of slack for each cut: starts are rounded onto the network's grid.
    shared = (count - 1) * (2 * overlap + multiple)
    return min(length, -(-(length + shared) // (count * multiple)) * multiple)


def _grid(height: int, width: int, engine: Engine, tile_pixels: int) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Choose rows and columns: split the tile's longer side until it fits, or would be more overlap than picture."""
    counts, lengths = [1, 1], [height, width]
    # Below six overlaps a tile is more than a third margin: painting it costs more than it saves.
    shortest = max(6 * engine.overlap_px, 4 * engine.multiple)
    while lengths[0] * lengths[1] > tile_pixels:
        axis = 0 if lengths[0] >= lengths[1] else 1
        if lengths[axis] <= shortest:
            break
        counts[axis] += 1
        full = (height, width)[axis]
        lengths[axis] = _tile_length(full, counts[axis], multiple=engine.multiple, overlap=engine.overlap_px)
    rows, columns = (
        spans(full, count, multiple=engine.multiple, overlap=engine.overlap_px)
        for full, count in zip((height, width), counts, strict=True)
    )
    return rows, columns


def _paint(engine: Engine, padded: Pixels, tile_pixels: int, progress: Callable[[], None]) -> Pixels:
    height, width = padded.shape[:2]
    rows, columns = _grid(height, width, engine, tile_pixels)
    if len(rows) == len(columns) == 1:
        painted = engine.paint(padded)
        progress()
        return painted
    whole = np.empty_like(padded)
    for row, column in product(rows, columns):
        tile = np.ascontiguousarray(padded[row.start : row.stop, column.start : column.stop])
        kept = (slice(row.keep_start, row.keep_stop), slice(column.keep_start, column.keep_stop))
        inner = (
            slice(row.keep_start - row.start, row.keep_stop - row.start),
            slice(column.keep_start - column.start, column.keep_stop - column.start),
        )
        whole[kept] = engine.paint(tile)[inner]
        progress()
    return whole


def _pad(pixels: Pixels, multiple: int) -> Pixels:
    """Reflect at the right and lower edge."""
    below, right = (_padded(side, multiple) - side for side in pixels.shape[:2])
    if not below and not right:
        return np.ascontiguousarray(pixels)
    return np.asarray(cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REFLECT_101), np.uint8)


def _padded(side: int, multiple: int) -> int:
    """Return a side's length up to the multiple, and to two of it: networks reflect by themselves."""
    return max(-(-side // multiple), 2) * multiple
