"""The measures of the style benchmark say what they claim, on pictures whose answer is known."""

import cv2
import numpy as np
import pytest

from benchmarks.films import passed_over
from benchmarks.style_measures import Clip, Pixels, Way, milliseconds


def _moving(count: int = 5) -> list[Pixels]:
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (20, 26, 3)).astype(np.float32)
    scene = np.kron(coarse, np.ones((12, 12, 1), np.float32)).astype(np.uint8)
    return [scene[:192, 3 * step : 3 * step + 256].copy() for step in range(count)]


def test_a_painter_that_follows_the_motion_does_not_flicker() -> None:
    found = Clip(_moving()).steadiness(lambda frame: np.asarray(255 - frame, np.uint8))
    assert found.flicker == pytest.approx(Clip(_moving()).steadiness(lambda frame: frame).flicker, abs=1.0)


def test_a_painter_that_changes_brightness_every_frame_flickers_by_that_much() -> None:
    still = [_moving(1)[0] // 2 + 40] * 5
    turn = iter(range(5))
    found = Clip(still).steadiness(lambda frame: np.asarray(frame + (10 if next(turn) % 2 else 0), np.uint8))
    assert found.flicker == pytest.approx(10.0, abs=0.2)


def test_blur_is_not_sharp() -> None:
    clip = Clip(_moving(2))
    blurred = clip.steadiness(lambda frame: np.asarray(cv2.GaussianBlur(frame, (15, 15), 0), np.uint8))
    assert blurred.sharpness < clip.steadiness(lambda frame: frame).sharpness / 1.5


def test_noise_taken_out_does_not_flicker() -> None:
    rng = np.random.default_rng(1)
    still = [np.clip(_moving(1)[0] + rng.normal(0, 3, (192, 256, 3)), 0, 255).astype(np.uint8) for _ in range(12)]
    clip = Clip(still)
    assert clip.steadiness(lambda frame: frame, Way.LIVE).flicker < clip.steadiness(lambda frame: frame).flicker / 2


def test_strokes_held_together_flicker_less() -> None:
    clip = Clip([_moving(1)[0] // 2 + 40] * 12)

    def paint(frame: Pixels) -> Pixels:
        return np.clip(frame + rng.normal(0, 10, frame.shape), 0, 255).astype(np.uint8)

    rng = np.random.default_rng(1)
    assert clip.steadiness(paint, Way.FILM).flicker < clip.steadiness(paint, Way.LIVE).flicker / 1.5


def test_paintings_are_sharpened_until_they_are_as_sharp_as_asked() -> None:
    clip = Clip([np.asarray(cv2.GaussianBlur(frame, (9, 9), 0), np.uint8) for frame in _moving(2)])
    soft = clip.steadiness(lambda frame: frame).sharpness
    assert clip.steadiness(lambda frame: frame, sharpness=1.3 * soft).sharpness == pytest.approx(1.3 * soft, rel=0.05)
    with pytest.raises(ValueError, match="no unsharp mask"):
        clip.steadiness(lambda frame: frame, sharpness=100 * soft)


def test_motion_that_is_known_is_where_a_painter_that_follows_it_is_judged_still() -> None:
    clip = passed_over(_moving(1)[0])
    after, before = clip.frames[13].astype(float), clip.frames[12].astype(float)
    assert np.abs(after - before).mean() > 10
    # What is left is the camera's noise, twice, and steps between pixels.
    assert clip.judged(clip.frames).flicker < 6
    assert clip.judged([clip.frames[12]] * len(clip.frames)).flicker > 10


def test_time_is_the_median_of_the_repeats() -> None:
    frame = np.zeros((16, 16, 3), np.uint8)
    calls: list[int] = []

    def paint(pixels: Pixels) -> Pixels:
        calls.append(1)
        return pixels

    assert milliseconds(paint, frame, repeats=5) < 1.0
    assert len(calls) == 8
