"""How pictures move: by how much, and where it is not known."""

import numpy as np
import pytest

from jobs.flow_field import CELL_PX
from jobs.optical_flow import MotionFinder
from tests.media import texture

HEIGHT, WIDTH = 192, 256


@pytest.mark.parametrize(("right", "down"), [(0, 0), (1, 0), (3, -2), (8, 5)])
def test_what_moves_is_found_where_it_was(right: int, down: int) -> None:
    wide = texture(HEIGHT + 40, WIDTH + 40, contrast=15)
    finder = MotionFinder()
    assert finder.follow(wide[20 : 20 + HEIGHT, 20 : 20 + WIDTH]) is None
    motion = finder.follow(wide[20 - down : 20 - down + HEIGHT, 20 - right : 20 - right + WIDTH])
    assert motion is not None
    inner = np.s_[8:-8, 8:-8]
    apart = np.abs(motion.flow[inner] * CELL_PX - np.array([-right, -down], np.float32)).max(-1)
    assert np.quantile(apart, 0.9) < 0.5
    assert motion.trust[inner].mean() > 0.95


def test_what_is_new_is_not_trusted() -> None:
    finder = MotionFinder()
    finder.follow(texture(HEIGHT, WIDTH, seed=1))
    motion = finder.follow(texture(HEIGHT, WIDTH, seed=2))
    assert motion is not None
    assert motion.trust.mean() < 0.2


def test_what_comes_in_at_the_edge_is_not_trusted() -> None:
    wide = texture(HEIGHT, WIDTH + 16)
    finder = MotionFinder()
    finder.follow(wide[:, 16:])
    motion = finder.follow(wide[:, :WIDTH])
    assert motion is not None
    assert motion.trust[8:-8, :3].max() == 0


@pytest.mark.parametrize("shape", [(1, 1, 3), (60, 200, 3)])
def test_too_small_to_say(shape: tuple[int, int, int]) -> None:
    finder = MotionFinder()
    pixels = np.full(shape, 90, np.uint8)
    assert [finder.follow(pixels), finder.follow(pixels)] == [None, None]


def test_another_size_begins_anew() -> None:
    finder = MotionFinder()
    finder.follow(texture(HEIGHT, WIDTH))
    assert finder.follow(texture(WIDTH, HEIGHT)) is None
    assert finder.follow(texture(WIDTH, HEIGHT)) is not None
