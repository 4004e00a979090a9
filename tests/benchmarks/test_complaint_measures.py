"""Each measure of what people complain about, on pictures whose right value is known."""

import cv2
import numpy as np
import pytest

from benchmarks import complaint_measures as measures
from benchmarks.style_measures import Pixels

SIZE = (480, 640)


def _grey(values: np.ndarray) -> Pixels:
    return np.repeat(np.clip(values, 0, 255).round().astype(np.uint8)[..., None], 3, axis=2)


def _waves(period_px: float, amplitude: float) -> np.ndarray:
    """128 + a sine along the columns; its variance is amplitude² / 2."""
    return 128 + amplitude * np.sin(2 * np.pi * np.arange(SIZE[1]) / period_px) * np.ones((SIZE[0], 1))


def _noise(deviation: float, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, deviation, SIZE)


EVERYWHERE = np.ones(SIZE, np.bool_)


def test_blots_of_known_height_have_that_variance() -> None:
    # A box of 9 takes a tenth of a wave of 33 px, one of 33 all of it.
    passed = np.sin(np.pi * 9 / 33) / (np.pi * 9 / 33)
    found = measures.blot_variance(_grey(_waves(33, 30)), EVERYWHERE)
    assert found == pytest.approx((30 * passed) ** 2 / 2, rel=0.1)


@pytest.mark.parametrize("period_px", [4, 300], ids=["strokes", "forms"])
def test_what_is_finer_or_coarser_than_a_blot_is_none(period_px: int) -> None:
    blots = measures.blot_variance(_grey(_waves(24, 30)), EVERYWHERE)
    assert measures.blot_variance(_grey(_waves(period_px, 30)), EVERYWHERE) < 0.03 * blots


def test_a_photo_is_flat_where_nothing_is() -> None:
    photo = np.full(SIZE, 128.0)
    photo[:, 320:] += np.random.default_rng(1).normal(0, 40, (480, 320))
    flat = measures.flat_of_photo(_grey(photo))
    assert flat is not None
    assert flat[:, :300].all()
    assert not flat[:, 320:].any()
    assert measures.flat_of_photo(_grey(128 + _noise(40))) is None


def test_a_painting_is_flat_where_it_has_strokes_but_no_forms() -> None:
    painting = _waves(6, 40)
    painting[:, 320:] += 60 * np.sign(np.sin(2 * np.pi * np.arange(480) / 160))[:, None]
    flat = measures.flat_of_painting(_grey(painting))
    assert flat[:, :260].mean() > 0.4
    assert flat[:, 380:].mean() < 0.1 * flat[:, :260].mean()


@pytest.mark.parametrize(("length_px", "width_px"), [(24, 6), (16, 4), (30, 10)])
@pytest.mark.parametrize("degrees", [0, 30, 90])
def test_bars_have_their_length_and_width(length_px: int, width_px: int, degrees: int) -> None:
    rng = np.random.default_rng(1)
    picture = np.zeros(SIZE, np.float32)
    for _ in range(SIZE[0] * SIZE[1] // (4 * length_px * width_px)):
        centre = (rng.uniform(0, SIZE[1]), rng.uniform(0, SIZE[0]))
        corners = cv2.boxPoints((centre, (length_px, width_px), degrees)).round().astype(np.int32)
        cv2.fillConvexPoly(picture, corners, float(rng.uniform(60, 255)))
    found = measures.strokes(_grey(picture))
    assert found.length_px == pytest.approx(length_px, rel=0.3)
    assert found.width_px == pytest.approx(width_px, rel=0.3)


def test_an_empty_picture_has_no_strokes() -> None:
    assert np.isnan(measures.strokes(_grey(np.full(SIZE, 90.0))).length_px)


@pytest.mark.parametrize("colours", [1, 2, 5])
def test_as_many_colours_are_counted_as_there_are(colours: int) -> None:
    chosen = [(0, 0, 255), (0, 255, 0), (255, 0, 0), (0, 255, 255), (128, 128, 128)][:colours]
    picture = np.repeat(np.asarray(chosen, np.uint8)[:, None], 40, axis=1).repeat(10, axis=0)
    assert measures.colour_variety(picture) == pytest.approx(colours)


@pytest.mark.parametrize("period_px", [2, 4, 8])
def test_a_lattice_stands_out_at_its_own_period(period_px: int) -> None:
    rows, columns = np.indices(SIZE)
    grid = 3.0 * ((columns % period_px == 0) | (rows % period_px == 0))
    pictures = [_grey(128 + _noise(4, seed) + grid) for seed in range(4)]
    assert measures.lattice(pictures, period_px) > 1.5


@pytest.mark.parametrize("period_px", [2, 4, 8])
def test_noise_has_no_lattice(period_px: int) -> None:
    pictures = [_grey(128 + _noise(10, seed)) for seed in range(8)]
    assert measures.lattice(pictures, period_px) == pytest.approx(1.0, abs=0.1)


def test_a_lattice_of_8_px_of_smooth_waves_is_none_of_4_px() -> None:
    pictures = [_grey(_waves(8, 3) + _noise(4, seed)) for seed in range(8)]
    assert measures.lattice(pictures, 8) > 5
    assert measures.lattice(pictures, 4) == pytest.approx(1.0, abs=0.1)


def _with_border(kind: str, height: float) -> list[tuple[Pixels, Pixels]]:
    pairs = []
    for seed in range(8):
        photo = 128 + 40 * cv2.resize(np.random.default_rng(seed).normal(0, 1, (6, 8)), SIZE[::-1])
        painted = photo.copy()
        if kind == "line":
            painted[470:474] += height
        if kind == "zips":
            painted[:, :12] += height * np.sign(np.sin(2 * np.pi * np.arange(480) / 8 + 0.1))[:, None]
        pairs.append((_grey(photo), _grey(painted)))
    return pairs


@pytest.mark.parametrize("kind", ["line", "zips"])
@pytest.mark.parametrize("height", [-12.0, 5.0, 20.0])
def test_lines_and_zips_along_the_border_have_their_height(kind: str, height: float) -> None:
    assert measures.border_lines(_with_border(kind, height)) == pytest.approx(abs(height), abs=2.0)


@pytest.mark.parametrize("gain", [0.5, 1.0, 1.5, -1.0], ids=["flatter", "as it is", "stronger", "a negative"])
def test_a_photo_itself_has_no_lines_along_its_border(gain: float) -> None:
    pairs = [(photo, _grey(128 + gain * (photo[..., 0] - 128.0))) for photo, _ in _with_border("", 0.0)]
    assert measures.border_lines(pairs) < 2.0
