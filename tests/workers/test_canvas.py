"""A frame has one canvas: the same grain each time, in tiles as in the whole, and a tone taken from the frame alone."""

import numpy as np
import pytest

from tests.workers.tiny import Pixels, StyleFiles
from workers import grain
from workers.canvas import MOST_GAIN, WORDS, Canvas, Tone
from workers.openvino_engine import OpenVinoEngine
from workers.torch_engine import load_torch_engine

TONE = Tone((90.0, 120.0, 150.0), 60.0)
STRENGTH = 8.0


def _grey(height: int, width: int, level: int = 128) -> Pixels:
    return np.full((height, width, 3), level, np.uint8)


def test_the_grain_is_faint_without_brightness_and_the_same_each_time() -> None:
    grained = grain.lay(_grey(480, 640), STRENGTH).astype(int) - 128
    assert np.array_equal(grained, grain.lay(_grey(480, 640), STRENGTH).astype(int) - 128)
    assert grained.std() > 1.0 and np.abs(grained).max() <= 2 * STRENGTH
    # Over 2×2 pixels, all that a camera keeps of colours, nothing is left of it; nor of its brightness.
    blocks = grained[:480, :640].reshape(240, 2, 320, 2, 3).mean((1, 3))
    assert np.abs(blocks).max() <= 1.5
    assert np.abs(grained.mean(2)).max() <= 1.5


def test_a_large_frame_has_the_grain_of_its_parts() -> None:
    whole = grain.lay(_grey(1100, 1300), STRENGTH)
    assert np.array_equal(whole[:300, :400], grain.lay(_grey(300, 400), STRENGTH))
    # It goes on across the places where it begins anew.
    period = grain.PERIOD_PX
    assert np.array_equal(whole[period : period + 200, period : period + 200], whole[:200, :200])
    steps = np.abs(np.diff(grain.fields()[0], axis=1, append=grain.fields()[0][:, :1]))
    assert steps[:, -1].mean() < 1.5 * steps.mean()


def test_the_grain_leaves_the_frame_it_was_given(photo: Pixels) -> None:
    before = photo.copy()
    assert not np.array_equal(grain.lay(photo, STRENGTH), before)
    assert np.array_equal(photo, before)


def test_the_tone_goes_half_the_way_to_the_painting_s_light() -> None:
    painted = np.random.default_rng(1).normal((60, 60, 60), 20, (400, 400, 3)).clip(0, 255).astype(np.uint8)
    finished = Canvas(tone=TONE).finished(painted)
    # Half of the way to a luma of 125.6; the tint of the rest is held at 16, red's at half of 24.4.
    assert finished.mean((0, 1)) == pytest.approx([92.8 - 16, 92.8 - 2.8, 92.8 + 12.2], abs=1.5)
    assert finished.std() > 1.4 * painted.std()


def test_a_blue_sky_stays_blue_in_a_yellow_style() -> None:
    sky = np.random.default_rng(1).normal((200, 120, 40), 10, (300, 300, 3)).clip(0, 255).astype(np.uint8)
    blue, green, red = Canvas(tone=Tone((40.0, 150.0, 220.0), 60.0)).finished(sky).mean((0, 1))
    assert blue > green > red


def test_a_flat_painting_is_not_torn_apart_by_its_tone() -> None:
    painted = np.random.default_rng(1).normal(128, 1.5, (200, 200, 3)).clip(0, 255).astype(np.uint8)
    finished = Canvas(tone=TONE).finished(painted)
    assert finished.std((0, 1)).max() <= painted.std((0, 1)).max() * MOST_GAIN + 0.5
    assert Canvas(tone=TONE).finished(_grey(16, 16)).std() < 60


def test_edges_become_crisper_and_level_areas_stay_as_they_are() -> None:
    step = _grey(40, 40, 100)
    step[:, 20:] = 140
    finished = Canvas(sharpen=0.5).finished(step)[20, :, 0].astype(int)
    assert finished[20] - finished[19] > 40
    assert (finished[:17] == 100).all() and (finished[23:] == 140).all()


def test_black_and_white_stay_black_and_white_beside_a_crisp_edge() -> None:
    step = _grey(20, 20, 0)
    step[:, 10:] = 255
    assert np.array_equal(Canvas(sharpen=1.0).finished(step), step)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (3, 2), (17, 16)], ids=str)
def test_a_picture_of_any_size_is_sharpened(shape: tuple[int, int]) -> None:
    assert np.array_equal(Canvas(sharpen=0.5).finished(_grey(*shape)), _grey(*shape))


def test_an_empty_canvas_changes_nothing(photo: Pixels) -> None:
    assert np.array_equal(Canvas().finished(Canvas().prepared(photo)), photo)


def test_both_engines_read_the_canvas_from_their_files(tiny: StyleFiles) -> None:
    wanted = Canvas(STRENGTH, TONE, 0.5)
    assert OpenVinoEngine(tiny.export, threads=1).canvas == wanted
    assert load_torch_engine(tiny.torch_file, device="cpu", threads=1).canvas == wanted


def test_an_export_is_asked_for_every_word_that_is_written() -> None:
    assert set(Canvas(STRENGTH, TONE, 0.5).written()) == set(WORDS)


@pytest.mark.parametrize(
    "canvas",
    [Canvas(), Canvas(STRENGTH), Canvas(tone=TONE), Canvas(sharpen=0.5)],
    ids=["none", "grain", "tone", "crisp"],
)
def test_what_is_written_is_read(canvas: Canvas) -> None:
    assert Canvas.read(canvas.written()) == canvas


@pytest.mark.parametrize("tone", ["", "1 2 3", "1 2 3 nan", "1 2 3 300", "a b c d", "1 " * 5])
def test_a_damaged_tone_is_refused(tone: str) -> None:
    with pytest.raises(ValueError, match=r"four numbers|could not convert"):
        Canvas.read({"tone": tone})


@pytest.mark.parametrize("strength", ["", "nan", "-1", "33", "x"])
def test_a_damaged_grain_is_refused(strength: str) -> None:
    with pytest.raises(ValueError, match=r"grain is a number|could not convert"):
        Canvas.read({"grain": strength})


@pytest.mark.parametrize("share", ["", "nan", "-0.1", "2.5", "x"])
def test_a_damaged_sharpening_is_refused(share: str) -> None:
    with pytest.raises(ValueError, match=r"sharpened by a number|could not convert"):
        Canvas.read({"sharpen": share})
