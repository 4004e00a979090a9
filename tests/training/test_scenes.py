"""What a style aims at: a scene of few even areas, in the painting's own colours, with its faces left readable."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.training.conftest import write_picture
from training import scenes
from training.palette import Palette
from training.scenes import SceneSet, make_scene, simplify


def test_simplifying_evens_texture_and_keeps_a_border() -> None:
    rng = np.random.default_rng(1)
    picture = np.full((96, 128, 3), 90, np.uint8)
    picture[:, 64:] = 170
    noisy = np.clip(picture + rng.normal(0, 12, picture.shape), 0, 255).astype(np.uint8)
    simple = simplify(noisy, 4, rounds=2)
    assert simple[20:76, 10:50].std() < 0.3 * noisy[20:76, 10:50].std()
    step = simple[48, 60:68].mean(1)
    assert step[-1] - step[0] > 60


def test_a_face_keeps_detail_that_the_rest_loses(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    dots = np.full((480, 480, 3), 160, np.uint8)
    for left, top in rng.integers(20, 460, (200, 2)):
        cv2.circle(dots, (int(left), int(top)), 4, (60, 60, 60), -1)
    path = tmp_path / "dots.png"
    cv2.imwrite(str(path), dots)
    plain, face = (make_scene(path, boxes, contrast=0.0) for boxes in ([], [(0, 0, 480, 480)]))
    assert plain.faces.max() == 0 and face.faces.max() == 255
    away = [
        np.abs(scene.simplified[100:380, 100:380].astype(float) - dots[100:380, 100:380]).mean()
        for scene in (plain, face)
    ]
    assert away[1] < 0.8 * away[0]


def test_some_crops_are_dark_and_with_their_scene(tmp_path: Path) -> None:
    for number in range(8):
        write_picture(tmp_path / f"{number}.png", number)
    found = SceneSet(sorted(tmp_path.glob("*.png")), contrast=0.6)
    crops = [found.crop(np.random.default_rng(seed), 64) for seed in range(60)]
    dark = [crop for crop in crops if crop.photo.max() < 0.6]
    assert dark and all(crop.simplified.max() < 0.65 for crop in dark)


def test_every_box_of_a_face_lies_in_a_picture_of_480_rows() -> None:
    boxes = scenes.json.loads(scenes._FACE_BOXES.read_text(encoding="utf-8"))
    assert len(boxes) >= 12
    for name, found in boxes.items():
        for left, top, width, height in found:
            assert left >= 0 and top >= 0 and 30 < width < 480 and 30 < height < 480, name


def test_the_palette_gives_colours_of_the_painting_alone() -> None:
    """Two pigments, a rare one and a common one: the photos' light goes to the light one, and nothing lies between."""
    torch.manual_seed(1)
    painting = torch.tensor([0.1, 0.1, 0.5]).view(1, 3, 1, 1).repeat(1, 1, 64, 64)
    painting[..., :6] = torch.tensor([0.95, 0.9, 0.3]).view(3, 1, 1)
    palette = Palette(torch.rand(4, 3, 64, 64), painting)
    dark, light = (palette(torch.full((1, 3, 4, 4), level)).mean((0, 2, 3)) for level in (0.05, 0.97))
    assert dark.numpy() == pytest.approx([0.1, 0.1, 0.5], abs=0.06)
    assert light.numpy() == pytest.approx([0.95, 0.9, 0.3], abs=0.06)


def test_the_palette_keeps_light_above_dark() -> None:
    torch.manual_seed(1)
    palette = Palette(torch.rand(4, 3, 64, 64), torch.rand(1, 3, 64, 64) * 0.5)
    greys = torch.linspace(0.0, 1.0, 32).view(1, 1, 1, 32).expand(1, 3, 8, 32)
    luma = (palette(greys) * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1)[0, 0]
    assert luma[-8:].mean() > luma[:8].mean() + 0.05
