"""A painting brought back to its source's size: edges where the source has them, as crisp, and strokes without dots."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from workers.enlarge import enlarged, resized

Pixels = NDArray[np.uint8]


def grey(values: NDArray[np.float64]) -> Pixels:
    return np.repeat(np.clip(values, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def disc(height: int, width: int, low: float, high: float) -> Pixels:
    """A disc that is as crisp as anti-aliasing leaves it, at any size the same in the picture."""
    y, x = np.mgrid[:height, :width]
    far = np.hypot(x + 0.5 - width / 2, y + 0.5 - height / 2) - 0.3 * height
    return grey(low + (high - low) * np.clip(0.5 - far, 0, 1))


def rise_px(picture: Pixels) -> float:
    """Over how many pixels the edge on the middle row goes from a tenth to nine tenths of its height."""
    row = picture[picture.shape[0] // 2, : picture.shape[1] // 2, 1].astype(float)
    share = (row - row.min()) / (row.max() - row.min())
    rises = (share > 0.1) & (share < 0.9)
    return float(rises.sum())


@pytest.mark.parametrize("height", [1080, 2160])
def test_an_edge_of_the_source_is_crisp_again(height: int) -> None:
    width = height * 4 // 3
    source, painted = disc(height, width, 40, 200), disc(480, 640, 70, 150)
    found = enlarged(painted, source)
    assert found.shape == source.shape
    cubic = cv2.resize(painted, (width, height), interpolation=cv2.INTER_CUBIC)
    assert rise_px(found) <= min(3.0, rise_px(np.asarray(cubic, np.uint8)))


def test_a_stroke_the_source_does_not_have_stays_and_gets_no_halo() -> None:
    source = np.full((1440, 1920, 3), 120, np.uint8)
    painted = np.full((480, 640, 3), 100, np.uint8)
    painted[200:212, 100:500] = 180
    found = enlarged(painted, source)
    assert found.min() >= 98 and found.max() <= 182
    assert abs(int(found[618, 900, 1]) - 180) <= 2
    assert rise_px(np.ascontiguousarray(found[540:680, 700:900].transpose(1, 0, 2))) <= 3.0


@pytest.mark.parametrize("height", [1080, 1920])
def test_dots_a_network_leaves_are_not_enlarged(height: int) -> None:
    source = np.full((height, height, 3), 120, np.uint8)
    checks = np.indices((480, 480)).sum(0) % 2
    painted = grey(100 + 40.0 * checks)
    assert enlarged(painted, source).std() < 0.35 * painted.std()


def test_grain_of_the_source_is_not_drawn_into_the_painting() -> None:
    noise = np.random.default_rng(1).normal(120, 3, (1440, 1920))
    painted = np.full((480, 640, 3), 100, np.uint8)
    assert enlarged(painted, grey(noise)).std() < 0.5


def test_a_painting_larger_than_its_source_is_shrunk() -> None:
    painted = disc(960, 1280, 40, 200)
    found = enlarged(painted, disc(480, 640, 0, 255))
    assert cv2.absdiff(found, disc(480, 640, 40, 200)).mean() < 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (3, 2), (7, 900)], ids=str)
def test_the_smallest_pictures_pass(shape: tuple[int, int]) -> None:
    source = np.full((*shape, 3), 50, np.uint8)
    small = resized(source, (max(1, shape[1] // 4), max(1, shape[0] // 4)))
    assert enlarged(small, source).shape == source.shape
