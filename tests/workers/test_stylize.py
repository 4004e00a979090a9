"""Any picture comes back painted, at its own size; tiles do not show; the look is what was asked for."""

import threading
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.protocol.frame import BRUSH_AS_SENT, Look
from tests.workers.tiny import Pixels, StyleFiles
from workers.openvino_engine import OpenVinoEngine
from workers.processing import Processing
from workers.stylize import apply_look, spans, stylize

WHOLE = 1 << 30
AS_SENT = Look(brush=BRUSH_AS_SENT)


class Recorder:
    """An engine that inverts and notes what it was handed."""

    bytes_per_px = 3
    processing = Processing()

    def __init__(self, multiple: int = 8, overlap_px: int = 16) -> None:
        self.multiple, self.overlap_px = multiple, overlap_px
        self.shapes: list[tuple[int, ...]] = []

    def paint(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        assert pixels.flags.c_contiguous and pixels.dtype == np.uint8
        self.shapes.append(pixels.shape)
        return 255 - pixels


@pytest.mark.parametrize("shape", [(16, 16), (17, 31), (1, 1), (16, 300), (151, 203), (480, 640)], ids=str)
def test_any_size_comes_back_at_its_own_size_and_the_engine_sees_only_multiples(shape: tuple[int, int]) -> None:
    engine = Recorder()
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    assert np.array_equal(stylize(engine, pixels, Look(), tile_pixels=WHOLE), 255 - pixels)
    assert all(height % 8 == width % 8 == 0 and min(height, width) >= 16 for height, width, _ in engine.shapes)


@pytest.mark.parametrize("shape", [(16, 16), (17, 31), (151, 203)], ids=str)
def test_the_real_network_paints_small_and_odd_sizes(tiny: StyleFiles, shape: tuple[int, int]) -> None:
    engine = OpenVinoEngine(tiny.export, threads=1)
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    assert stylize(engine, pixels, Look(), tile_pixels=WHOLE).shape == pixels.shape


def test_a_tiled_picture_equals_the_whole_one(tiny: StyleFiles) -> None:
    engine = OpenVinoEngine(tiny.export, threads=1, precision="f32")
    coarse = np.random.default_rng(2).integers(0, 256, (70, 90, 3), np.uint8)
    pixels = np.asarray(cv2.resize(coarse, (1003, 777)), np.uint8)
    whole = stylize(engine, pixels, AS_SENT, tile_pixels=WHOLE)
    calls: list[None] = []
    tiled = stylize(engine, pixels, AS_SENT, tile_pixels=560 * 560, progress=lambda: calls.append(None))
    assert len(calls) > 3
    assert whole.std() > 20, "a flat painting proves nothing"
    assert cv2.absdiff(whole, tiled).max() <= 1


def test_tiles_have_one_size_and_respect_the_bound() -> None:
    engine = Recorder(overlap_px=16)
    pixels = np.random.default_rng(1).integers(0, 256, (1200, 1900, 3), np.uint8)
    assert np.array_equal(stylize(engine, pixels, AS_SENT, tile_pixels=300 * 300), 255 - pixels)
    (shape,) = set(engine.shapes)
    assert shape[0] * shape[1] <= 300 * 300


def test_a_bound_smaller_than_the_overlap_still_paints() -> None:
    engine = Recorder(overlap_px=88)
    pixels = np.zeros((900, 1000, 3), np.uint8)
    assert stylize(engine, pixels, AS_SENT, tile_pixels=100).shape == pixels.shape
    assert len(engine.shapes) <= 16


@pytest.mark.parametrize(
    ("size", "brush", "painted"),
    [
        ((1080, 1920), 1.0, (480, 853)),
        ((1920, 1080), 1.0, (853, 480)),
        ((480, 640), 1.0, (480, 640)),
        ((120, 160), 1.0, (120, 160)),
        ((480, 640), 2.0, (240, 320)),
        ((480, 640), 0.5, (960, 1280)),
        ((1080, 1920), 4.0, (120, 213)),
        ((1080, 1920), BRUSH_AS_SENT, (1080, 1920)),
        ((2, 3), 4.0, (1, 1)),
    ],
    ids=str,
)
def test_a_picture_is_painted_at_the_size_its_brush_asks_for(
    size: tuple[int, int], brush: float, painted: tuple[int, int]
) -> None:
    engine = Recorder(multiple=1)
    pixels = np.full((*size, 3), 90, np.uint8)
    found = stylize(engine, pixels, Look(brush=brush), tile_pixels=WHOLE)
    # A network takes two of its multiples at least.
    assert engine.shapes == [(max(2, painted[0]), max(2, painted[1]), 3)]
    assert found.shape == pixels.shape
    assert cv2.absdiff(found, 255 - pixels).max() <= 1


@pytest.mark.parametrize("length", [160, 648, 1080, 4320, 7680])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize(("multiple", "overlap"), [(8, 88), (4, 64), (8, 16)])
def test_spans_cover_everything_once_on_the_grid_and_keep_their_distance_from_cuts(
    length: int, count: int, multiple: int, overlap: int
) -> None:
    tiles = spans(length, count, multiple=multiple, overlap=overlap)
    assert [tile.keep_start for tile in tiles] == [0, *(tile.keep_stop for tile in tiles[:-1])]
    assert tiles[-1].keep_stop == length
    assert len({tile.stop - tile.start for tile in tiles}) == 1
    assert all(0 <= t.start <= t.keep_start <= t.keep_stop <= t.stop <= length for t in tiles)
    assert all(tile.start % multiple == 0 for tile in tiles)
    if tiles[0].stop < length:
        assert _margins(tiles) >= overlap


def _margins(tiles: Sequence[object]) -> int:
    return min(
        min(left.stop - left.keep_stop, right.keep_start - right.start)  # type: ignore[attr-defined]
        for left, right in pairwise(tiles)
    )


def test_strength_zero_is_the_source_untouched_and_unpainted(photo: Pixels) -> None:
    engine = Recorder()
    assert np.array_equal(stylize(engine, photo, Look(strength=0.0), tile_pixels=WHOLE), photo)
    assert engine.shapes == []


@pytest.mark.parametrize("strength", [0.25, 0.5, 0.9])
def test_strength_mixes_painting_and_source(photo: Pixels, strength: float) -> None:
    mixed = stylize(Recorder(), photo, Look(strength=strength), tile_pixels=WHOLE)
    wanted = (255.0 - photo) * strength + photo * (1 - strength)
    assert np.abs(mixed - wanted).max() <= 1


def test_kept_colours_are_the_sources_and_the_light_is_the_paintings() -> None:
    source = np.full((32, 32, 3), (90, 120, 150), np.uint8)
    painted = np.full((32, 32, 3), (140, 110, 120), np.uint8)
    kept = cv2.cvtColor(apply_look(source, painted, Look(keep_colours=True)), cv2.COLOR_BGR2YCrCb)[0, 0]
    light, colour = (cv2.cvtColor(p, cv2.COLOR_BGR2YCrCb)[0, 0] for p in (painted, source))
    assert abs(int(kept[0]) - int(light[0])) <= 1
    assert np.abs(kept[1:].astype(int) - colour[1:].astype(int)).max() <= 1


def test_the_source_is_left_alone(photo: Pixels) -> None:
    before = photo.copy()
    stylize(Recorder(), photo, Look(strength=0.5, keep_colours=True), tile_pixels=100 * 100)
    assert np.array_equal(photo, before)


def test_threads_share_one_engine(tiny: StyleFiles, photo: Pixels) -> None:
    engine = OpenVinoEngine(tiny.export, threads=1)
    pictures = [photo, photo[:64, :64], 255 - photo, photo[:100]]
    alone = [stylize(engine, p, Look(), tile_pixels=WHOLE) for p in pictures]
    together: dict[int, Pixels] = {}

    def paint(at: int) -> None:
        together[at] = stylize(engine, pictures[at], Look(), tile_pixels=WHOLE)

    threads = [threading.Thread(target=paint, args=(at,)) for at in range(len(pictures))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert all(np.array_equal(together[at], alone[at]) for at in range(len(pictures)))
