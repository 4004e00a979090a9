"""What ships is whole: each style with its card, small enough, quiet on a flat wall, dark where the frame is black."""

import json
from dataclasses import asdict

import numpy as np
import openvino as ov
import pytest
import torch

from benchmarks.painters import network_alone
from training.shipped import PARENT, SHIPPED
from workers.network import RECEPTIVE_FIELD_PX, STRIDE_PX, load
from workers.openvino_engine import processing_of
from workers.processing import Processing
from workers.styles import SHIPPED as WEIGHTS

NAMES = list(SHIPPED)


def test_the_styles_ship_and_no_other_files_lie_beside_them() -> None:
    suffixes = (".bin", ".jpg", ".json", ".safetensors", ".xml")
    assert {path.name for path in WEIGHTS.iterdir()} == {name + suffix for name in NAMES for suffix in suffixes}


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_style_is_small(name: str) -> None:
    sizes = {path.suffix: path.stat().st_size for path in WEIGHTS.glob(f"{name}.*")}
    assert sizes[".safetensors"] <= 500_000
    assert sizes[".xml"] + sizes[".bin"] <= 510_000
    assert sizes[".jpg"] <= 60_000


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_where_the_style_comes_from(name: str) -> None:
    card = json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))
    for key in ("name", "painting", "painter", "year", "licence", "source", "config", "seed", "iterations", "date"):
        assert card[key] not in ("", None), key
    assert card["painting"] == SHIPPED[name].origin.painting


@pytest.mark.parametrize("name", [name for name in NAMES if name != PARENT])
def test_all_styles_descend_from_one(name: str) -> None:
    """Mixing two styles needs weights of one family."""
    card = json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))
    assert card["config"]["parent"] == PARENT


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("grey", [40, 128, 220])
def test_a_flat_wall_gets_no_pattern(name: str, grey: int) -> None:
    frame = np.full((240, 320, 3), grey, np.uint8)
    painted = network_alone(WEIGHTS / f"{name}.xml", (320, 240))(frame)
    crisp = Processing(sharpen=load(WEIGHTS / f"{name}.safetensors").processing.sharpen).after(painted)
    # Columns or dots of the pixel-shuffle, or a frame at the edges, would show as a spread.
    assert crisp.astype(float).std((0, 1)).max() < 4.0


@pytest.mark.parametrize("name", NAMES)
def test_files_card_and_recipe_of_a_style_agree(name: str) -> None:
    processing = load(WEIGHTS / f"{name}.safetensors").processing
    assert processing_of(ov.Core().read_model(WEIGHTS / f"{name}.xml")) == processing
    card = json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))
    assert card["processing"] == processing.metadata()
    config = asdict(SHIPPED[name].config)
    assert processing == Processing(config["contrast"], config["sharpen"])


@pytest.mark.parametrize("name", NAMES)
def test_the_two_networks_of_a_style_agree(name: str) -> None:
    frame = np.random.default_rng(1).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    rgb = torch.from_numpy(frame[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255.0
    wanted = (load(WEIGHTS / f"{name}.safetensors").paint(rgb)[0] * 255.0).round().permute(1, 2, 0).numpy()[..., ::-1]
    painted = network_alone(WEIGHTS / f"{name}.xml", (128, 96))(frame)
    assert np.abs(painted.astype(int) - wanted.astype(int)).max() <= 2


def test_a_frame_moved_by_the_stride_is_painted_as_moved() -> None:
    scene = np.random.default_rng(2).integers(0, 256, (320, 320 + STRIDE_PX, 3), dtype=np.uint8)
    paint = network_alone(WEIGHTS / "wave.xml", (320, 320))
    left, right = paint(scene[:, :320]), paint(scene[:, STRIDE_PX:])
    inside = slice(RECEPTIVE_FIELD_PX + STRIDE_PX, 320 - RECEPTIVE_FIELD_PX - STRIDE_PX)
    moved = slice(inside.start - STRIDE_PX, inside.stop - STRIDE_PX)
    difference = left[inside, inside].astype(int) - right[inside, moved].astype(int)
    assert np.abs(difference).max() <= 1
