"""Each loss answers to what it names, and to nothing else."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training import losses
from training.backbone import load_backbone
from training.palette import Palette
from training.shake import Shake

FLAT = torch.full((1, 3, 64, 64), 0.5)


def _hatch() -> torch.Tensor:
    hatch = FLAT.clone()
    hatch[..., ::2] += 0.2
    return hatch


def test_style_of_the_painting_itself_is_zero(studio: Path) -> None:
    backbone = load_backbone(studio / "materials" / "vgg16.safetensors")
    painting = torch.rand(1, 3, 64, 64)
    wanted = losses.Style.of(backbone, painting)
    for place, layers in enumerate((losses.STYLE_LAYERS, losses.COARSE_LAYERS)):
        aim = (wanted.fine, wanted.coarse)[place]
        assert float(losses.style_loss(losses.look(backbone, painting)[place], aim, layers)) < 1e-6
        assert float(losses.style_loss(losses.look(backbone, FLAT)[place], aim, layers)) > 0.01


def test_hatch_counts_where_the_photo_is_flat_and_only_there() -> None:
    rough = torch.rand(1, 3, 64, 64)
    assert float(losses.quiet_loss(_hatch(), FLAT)) > 1e-3
    assert float(losses.quiet_loss(_hatch(), rough)) < 1e-6
    assert float(losses.quiet_loss(FLAT, FLAT)) == 0.0


def test_an_eye_that_pales_counts_and_strokes_beside_it_do_not() -> None:
    def with_mark(depth: float) -> torch.Tensor:
        picture = FLAT.clone()
        picture[..., 30:36, 30:36] -= depth
        return picture

    photo = with_mark(0.3)
    paler, gone, lighter = (float(losses.detail_loss(with_mark(depth), photo)) for depth in (0.15, 0.0, -0.3))
    assert 0.0 < paler < gone < lighter
    assert float(losses.detail_loss(photo, photo)) == 0.0
    assert float(losses.detail_loss(with_mark(0.5), photo)) == 0.0
    stroked = photo.clone()
    stroked[..., 4:8, :] += 0.3
    assert float(losses.detail_loss(stroked, photo)) < 0.01 * gone


def test_a_line_along_an_edge_counts_unless_the_photo_has_it() -> None:
    lined = FLAT.clone()
    lined[..., 3:5] -= 0.2
    inside = FLAT.clone()
    inside[..., 30:32] -= 0.2
    assert float(losses.frame_loss(lined, FLAT)) > 10 * float(losses.frame_loss(inside, FLAT))
    assert float(losses.frame_loss(lined, lined)) == 0.0
    for turns in range(1, 4):
        turned = float(losses.frame_loss(torch.rot90(lined, turns, (2, 3)), FLAT))
        assert turned == pytest.approx(float(losses.frame_loss(lined, FLAT)))


def test_a_pattern_on_the_grid_counts_and_texture_does_not() -> None:
    torch.manual_seed(1)
    dots, texture = FLAT.repeat(1, 1, 3, 3), 0.5 + 0.2 * torch.randn(1, 3, 192, 192)
    dots[..., ::8, ::8] += 0.2
    assert float(losses.lattice_loss(dots)) > 4 * float(losses.lattice_loss(FLAT.repeat(1, 1, 3, 3))) + 1e-4
    finer = 0.5 + torch.zeros(1, 3, 192, 192)
    finer[..., ::2] += 0.2
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


def test_the_palette_carries_photos_into_the_painting_s_colours() -> None:
    torch.manual_seed(1)
    photos = torch.rand(4, 3, 64, 64)
    painting = torch.rand(1, 3, 64, 64) * torch.tensor([0.2, 0.3, 0.5]).view(1, 3, 1, 1) + 0.1
    recoloured = Palette(photos, painting)(photos)
    for channel in range(3):
        wanted, got = painting[0, channel], recoloured[:, channel]
        assert float(got.mean()) == pytest.approx(float(wanted.mean()), abs=0.02)
        assert float(got.std()) == pytest.approx(float(wanted.std()), abs=0.03)


def test_the_palette_keeps_light_above_dark() -> None:
    torch.manual_seed(1)
    palette = Palette(torch.rand(4, 3, 64, 64), torch.rand(1, 3, 64, 64) * 0.5)
    greys = torch.linspace(0.0, 1.0, 32).view(1, 1, 1, 32).expand(1, 3, 8, 32)
    assert (palette(greys).mean(1)[0, 0].diff() > -1e-4).all()
