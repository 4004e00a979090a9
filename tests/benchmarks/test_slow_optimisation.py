"""Slow optimisation comes nearer to the painting, keeps the photo, and stops when it stands still."""

import numpy as np
import pytest
import torch

from benchmarks import slow_optimisation as slow
from benchmarks.slow_optimisation import Plan, optimise, sizes, stands_still
from training import backbone


@pytest.fixture(scope="module")
def eyes() -> backbone.Backbone:
    """Random weights see colours and slopes as well."""
    generator, weights, before = torch.Generator().manual_seed(1), {}, 3
    for name in backbone._NAMES:
        after = 4 * int(name[0])
        weights[f"conv{name}.weight"] = torch.randn(after, before, 3, 3, generator=generator) / (4.5 * before) ** 0.5
        weights[f"conv{name}.bias"] = torch.zeros(after)
        before = after
    return backbone.Backbone(weights).eval().requires_grad_(False)


def test_sizes_grow_by_the_root_of_two_up_to_the_largest() -> None:
    assert list(sizes(Plan())) == [128, 181, 256, 362, 512]


def test_a_picture_takes_the_paintings_colours_and_keeps_the_photos_shape(eyes: backbone.Backbone) -> None:
    rng = np.random.default_rng(1)
    photo = np.full((48, 64, 3), 100, np.uint8)
    photo[:, 32:] = 180
    painting = np.zeros((48, 64, 3), np.uint8)
    painting[..., 0] = rng.integers(100, 255, (48, 64))
    plan = Plan(smallest_px=32, largest_px=64, most_steps=160)
    made = optimise(photo, painting, eyes, plan)
    assert made.shape == photo.shape

    def style(picture: np.ndarray) -> float:
        wanted, found = (eyes(slow._scaled(each, 64), ("relu1_1",))["relu1_1"] for each in (painting, picture))
        return float((slow._gram(found) - slow._gram(wanted)).square().sum())

    assert style(made) < 0.5 * style(photo)
    blue, others = made[..., 0].mean(), made[..., 1:].mean()
    assert blue > others + 20


@pytest.mark.parametrize(
    ("losses", "is_still"),
    [
        ([1.0] * 40, True),
        ([1.0] * 20 + [0.95] * 20, False),
        ([1.0] * 20 + [0.995] * 20, True),
        ([1.0] * 39, False),
        ([1.0] * 20, False),
    ],
    ids=["level", "falling", "hardly falling", "between two windows", "one window only"],
)
def test_it_stands_still_when_a_window_is_no_better_than_the_last(losses: list[float], is_still: bool) -> None:
    assert stands_still(losses, Plan()) is is_still
