"""Each loss answers to what it names, and to nothing else."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training import losses
from training.augment import Shake
from training.backbone import load_backbone

FLAT = torch.full((1, 3, 128, 128), 0.5)


def test_style_of_the_painting_itself_is_zero(studio: Path) -> None:
    backbone = load_backbone(studio / "materials" / "vgg16.safetensors")
    painting = torch.rand(1, 3, 128, 128)
    style = losses.Style(backbone, painting)
    assert float(style.loss(losses.octaves(backbone, painting))) < 1e-6
    assert float(style.loss(losses.octaves(backbone, FLAT))) > 0.01


def test_style_looks_at_the_mean_of_the_latest_crops_as_well(studio: Path) -> None:
    """A crop unlike the painting costs less after crops that balance it."""
    backbone = load_backbone(studio / "materials" / "vgg16.safetensors")
    painting = torch.rand(1, 3, 128, 128)
    odd = losses.octaves(backbone, FLAT)
    alone, after = losses.Style(backbone, painting), losses.Style(backbone, painting)
    for _ in range(3):
        after.loss(losses.octaves(backbone, painting))
    assert float(after.loss(odd)) < float(alone.loss(odd))


def test_content_of_the_scene_itself_is_zero(studio: Path) -> None:
    backbone = load_backbone(studio / "materials" / "vgg16.safetensors")
    scene = torch.rand(1, 3, 128, 128)
    content = losses.Content(backbone, scene)
    assert float(content.loss(losses.octaves(backbone, scene), scene)) < 1e-6
    assert float(content.loss(losses.octaves(backbone, FLAT), scene)) > 0.01


def test_strokes_within_an_area_keep_its_colour() -> None:
    stroked = FLAT.clone()
    stroked[..., ::4, :] += 0.2
    stroked[..., 2::4, :] -= 0.2
    assert float(losses.colour_loss(stroked, FLAT)) < 1e-6
    assert float(losses.colour_loss(FLAT + 0.1, FLAT)) == pytest.approx(0.015, rel=1e-3)


def test_an_eye_that_pales_counts_inside_a_face_and_only_there() -> None:
    def with_mark(depth: float) -> torch.Tensor:
        picture = FLAT.clone()
        picture[..., 61:67, 61:67] -= depth
        return picture

    scene, face, nowhere = with_mark(0.3), torch.ones(1, 1, 128, 128), torch.zeros(1, 1, 128, 128)
    paler, gone = (float(losses.face_loss(with_mark(depth), scene, face)) for depth in (0.15, 0.0))
    assert 0.0 < paler < gone
    assert float(losses.face_loss(scene, scene, face)) == 0.0
    assert float(losses.face_loss(FLAT, scene, nowhere)) == 0.0


def test_marks_count_where_the_scene_is_flat_and_only_there() -> None:
    marked, rough = FLAT.clone(), torch.rand(1, 3, 128, 128)
    marked[..., ::8, ::8] += 0.3
    assert float(losses.calm_loss(marked, FLAT)) > 1e-3
    assert float(losses.calm_loss(rough + 0.1, rough)) < 1e-6
    assert float(losses.calm_loss(FLAT, FLAT)) == 0.0


def test_a_pattern_on_the_grid_counts_and_texture_does_not() -> None:
    torch.manual_seed(1)
    plain, texture = torch.full((1, 3, 192, 192), 0.5), 0.5 + 0.2 * torch.randn(1, 3, 192, 192)
    dots, finer = plain.clone(), plain.clone()
    dots[..., ::8, ::8] += 0.2
    finer[..., ::2] += 0.2
    assert float(losses.lattice_loss(dots)) > 4 * float(losses.lattice_loss(plain)) + 1e-4
    assert float(losses.lattice_loss(finer)) > 10 * float(losses.lattice_loss(texture))


def test_values_inside_the_range_cost_nothing() -> None:
    assert float(losses.range_loss(torch.rand(1, 3, 8, 8))) == 0.0
    assert float(losses.range_loss(torch.full((1, 3, 8, 8), 1.5))) == pytest.approx(0.25)


def test_a_whole_pixel_shake_moves_and_does_not_blur() -> None:
    picture = torch.rand(1, 3, 64, 64)
    moved = Shake(down_px=3, right_px=-5, zoom=1.0, noise=0.0).move(picture)
    assert torch.equal(moved[..., 13:60, 10:50], picture[..., 10:57, 15:55])


def test_shakes_come_from_their_generator_alone() -> None:
    first, again = (Shake.draw(np.random.default_rng([1, 2])) for _ in range(2))
    assert first == again
    assert any(Shake.draw(np.random.default_rng(seed)).zoom != 1.0 for seed in range(8))
    assert any(Shake.draw(np.random.default_rng(seed)).zoom == 1.0 for seed in range(8))
