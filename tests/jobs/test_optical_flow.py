"""How pictures move: by how much, and where it is not known."""

import numpy as np
import pytest

from jobs.temporal import CELL_PX, FlowEstimator
from tests.media import texture

HEIGHT, WIDTH = 192, 256


@pytest.mark.parametrize(("right", "down"), [(0, 0), (1, 0), (3, -2), (8, 5)])
def test_what_moves_is_found_where_it_was(right: int, down: int) -> None:
    wide = texture(HEIGHT + 40, WIDTH + 40, contrast=15)
    estimator = FlowEstimator()
    assert estimator.update(wide[20 : 20 + HEIGHT, 20 : 20 + WIDTH]) is None
    flow = estimator.update(wide[20 - down : 20 - down + HEIGHT, 20 - right : 20 - right + WIDTH])
    assert flow is not None
    inner = np.s_[8:-8, 8:-8]
    apart = np.abs(flow.vectors[inner] * CELL_PX - np.array([-right, -down], np.float32)).max(-1)
    assert np.quantile(apart, 0.9) < 0.5
    assert flow.confidence[inner].mean() > 0.95


def test_what_is_new_is_not_trusted() -> None:
    estimator = FlowEstimator()
    estimator.update(texture(HEIGHT, WIDTH, seed=1))
    flow = estimator.update(texture(HEIGHT, WIDTH, seed=2))
    assert flow is not None
    assert flow.confidence.mean() < 0.2


def test_what_comes_in_at_the_edge_is_not_trusted() -> None:
    wide = texture(HEIGHT, WIDTH + 16)
    estimator = FlowEstimator()
    estimator.update(wide[:, 16:])
    flow = estimator.update(wide[:, :WIDTH])
    assert flow is not None
    assert flow.confidence[8:-8, :3].max() == 0


@pytest.mark.parametrize("shape", [(1, 1, 3), (60, 200, 3)])
def test_too_small_to_say(shape: tuple[int, int, int]) -> None:
    estimator = FlowEstimator()
    pixels = np.full(shape, 90, np.uint8)
    assert [estimator.update(pixels), estimator.update(pixels)] == [None, None]


def test_another_size_begins_anew() -> None:
    estimator = FlowEstimator()
    estimator.update(texture(HEIGHT, WIDTH))
    assert estimator.update(texture(WIDTH, HEIGHT)) is None
    assert estimator.update(texture(WIDTH, HEIGHT)) is not None
