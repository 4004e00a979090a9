"""What ships is whole: six styles, each with its card, small enough, quiet on a flat wall, steady under a shift."""

import json
from dataclasses import asdict

import numpy as np
import openvino as ov
import pytest
import torch

from benchmarks.painters import network_alone
from training.shipped import SHIPPED
from workers.canvas import Canvas
from workers.network import RECEPTIVE_FIELD_PX, STRIDE_PX, load
from workers.openvino_engine import canvas_of
from workers.styles import SHIPPED as WEIGHTS

NAMES = list(SHIPPED)


def test_six_styles_ship_and_no_other_files_lie_beside_them() -> None:
    assert len(NAMES) == 6
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
    for key in ("name", "painting", "painter", "year", "licence", "source", "recipe", "seed", "iterations", "date"):
        assert card[key] not in ("", None), key
    assert card["painting"] == SHIPPED[name].origin.painting


def test_a_style_starts_only_from_one_trained_before_it() -> None:
    for place, style in enumerate(SHIPPED.values()):
        assert style.start in ["", *NAMES[:place]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("grey", [40, 128, 220])
def test_a_flat_wall_gets_no_pattern_but_its_grain_s(name: str, grey: int) -> None:
    frame = np.full((240, 320, 3), grey, np.uint8)
    painted = network_alone(WEIGHTS / f"{name}.xml", (320, 240))(frame)
    crisp = Canvas(sharpen=load(WEIGHTS / f"{name}.safetensors").canvas.sharpen).finished(painted)
    # Without grain: columns or dots of the pixel-shuffle, or a frame at the edges, would show as a spread.
    assert crisp.astype(float).std((0, 1)).max() < 4.0


@pytest.mark.parametrize("name", NAMES)
def test_a_style_s_files_its_card_and_its_recipe_agree_on_the_canvas(name: str) -> None:
    canvas = load(WEIGHTS / f"{name}.safetensors").canvas
    assert canvas_of(ov.Core().read_model(WEIGHTS / f"{name}.xml")) == canvas
    card = json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))
    assert card["canvas"] == canvas.written()
    recipe = asdict(SHIPPED[name].finishing[-1])
    assert (canvas.grain, canvas.sharpen) == (recipe["painted_grain"], recipe["painted_sharpen"])
    assert {key: value for key, value in card["recipe"].items() if key != "start"}.items() <= recipe.items()


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
