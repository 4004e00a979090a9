"""Whole-frame processing: black stays black, a fade stays a fade, flat areas stay flat, files keep the values."""

import itertools

import cv2
import numpy as np
import pytest

from tests.workers.tiny import StyleFiles
from workers.openvino_engine import OpenVinoEngine
from workers.processing import KEYS, Pixels, Processing, tone_curve
from workers.torch_engine import load_torch_engine


def _grey(level: int, shape: tuple[int, int] = (48, 64)) -> Pixels:
    return np.full((*shape, 3), level, np.uint8)


def test_black_stays_black_and_a_fade_from_black_rises(photo: Pixels) -> None:
    assert not Processing(contrast=1.0).before(_grey(0)).any()
    fades = [Processing(contrast=0.6).before((photo * light).astype(np.uint8)).mean() for light in np.linspace(0, 1, 9)]
    assert all(later > earlier for earlier, later in itertools.pairwise(fades))


@pytest.mark.parametrize("contrast", [0.0, 0.6, 1.0])
def test_the_curve_rises_from_black_to_white(photo: Pixels, contrast: float) -> None:
    curve = tone_curve(photo, contrast).astype(int)
    assert (curve[0], curve[255]) == (0, 255)
    assert (np.diff(curve) >= 0).all()


def test_a_foggy_frame_gains_contrast_within_bounds() -> None:
    fog = np.random.default_rng(1).integers(110, 150, (300, 400, 3), dtype=np.uint8)
    gain = Processing(contrast=0.6).before(fog).std() / fog.std()
    # The slope is at most 2.2 before the curve is scaled to end at 255.
    assert 1.3 < gain < 4.0


def test_no_contrast_is_the_identity(photo: Pixels) -> None:
    assert np.array_equal(tone_curve(photo, 0.0), np.arange(256))
    assert np.array_equal(Processing().after(Processing().before(photo)), photo)


def test_neighbouring_frames_get_nearly_the_same_curve(photo: Pixels) -> None:
    noise = np.random.default_rng(2).normal(0.0, 2.0, photo.shape)
    noisy = np.clip(photo + noise, 0, 255).astype(np.uint8)
    curves = [tone_curve(frame, 0.6).astype(int) for frame in (photo, noisy)]
    assert np.abs(curves[0] - curves[1]).max() <= 4


def test_the_frame_itself_is_left_as_it_was(photo: Pixels) -> None:
    before = photo.copy()
    assert not np.array_equal(Processing(contrast=0.6).before(photo), before)
    assert np.array_equal(photo, before)


def test_sharpening_makes_an_edge_steeper_and_leaves_flat_areas() -> None:
    step = np.repeat(np.repeat(np.linspace(60, 190, 9).astype(np.uint8)[None, :, None], 40, 0), 3, 2)
    wide = cv2.copyMakeBorder(step, 0, 0, 20, 20, cv2.BORDER_REPLICATE)
    sharp = Processing(sharpen=1.0).after(wide).astype(int)
    assert np.ptp(sharp[20, 18:31, 0]) > np.ptp(wide[20, 18:31, 0])
    assert np.array_equal(Processing(sharpen=0.5).after(_grey(90)), _grey(90))


def test_both_engines_read_the_processing_from_their_files(tiny: StyleFiles) -> None:
    wanted = Processing(contrast=0.6, sharpen=0.5)
    assert OpenVinoEngine(tiny.export, threads=1).processing == wanted
    assert load_torch_engine(tiny.torch_file, device="cpu", threads=1).processing == wanted


def test_what_is_written_is_read() -> None:
    assert set(Processing().metadata()) == set(KEYS)
    for processing in (Processing(), Processing(contrast=0.6), Processing(sharpen=0.45)):
        assert Processing.read(processing.metadata()) == processing
    assert Processing.read({}) == Processing()


@pytest.mark.parametrize(
    "metadata", [{"contrast": "2"}, {"contrast": "nan"}, {"sharpen": "-1"}, {"sharpen": "9"}, {"sharpen": "much"}]
)
def test_values_of_a_damaged_file_are_refused(metadata: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        Processing.read(metadata)
