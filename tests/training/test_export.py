"""What is installed is what was trained: the export paints as torch does, and the files are all there."""

import json
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch

from training.cards import Origin, add_measures, install
from training.config import TrainingConfig
from training.export import export
from training.train import Trained
from workers.network import Norm, StyleNetwork, Widths, load, save


@pytest.fixture
def trained(tmp_path: Path) -> Trained:
    torch.manual_seed(2)
    network = StyleNetwork(normed=True)
    for norm in network.modules():
        if isinstance(norm, Norm):
            norm.fix(torch.randn(norm.num_features) * 0.1, torch.rand(norm.num_features) + 0.5)
    with torch.no_grad():
        assert network.head.conv.bias is not None
        network.head.conv.weight.mul_(3.0)
        network.head.conv.bias.add_(0.5)
    save(network.eval().fold(), tmp_path / "run.safetensors")
    return Trained("mine", tmp_path / "run.safetensors", tmp_path / "run.pt", 7, 1.25, TrainingConfig(widths=Widths()))


@pytest.mark.parametrize("height_width", [(16, 16), (120, 160), (64, 136)], ids=str)
def test_the_export_paints_as_torch_does(trained: Trained, tmp_path: Path, height_width: tuple[int, int]) -> None:
    files = export(trained.weights, name="mine", folder=tmp_path / "styles")
    compiled = ov.Core().compile_model(files.xml, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    frame = np.random.default_rng(1).integers(0, 256, (1, *height_width, 3), dtype=np.uint8)
    painted = compiled([frame])["painted"]
    rgb = torch.from_numpy(frame[..., ::-1].copy()).permute(0, 3, 1, 2).float() / 255.0
    wanted = (load(files.safetensors).paint(rgb) * 255.0).round().permute(0, 2, 3, 1).numpy()[..., ::-1]
    assert painted.dtype == np.uint8 and painted.shape == frame.shape
    assert painted.std() > 3.0
    # Weights of the first and last convolution are stored as fp16 after the scale of 255 went into them.
    assert np.abs(painted.astype(int) - wanted.astype(int)).max() <= 2


def test_each_export_stays_below_500_kb(trained: Trained, tmp_path: Path) -> None:
    files = export(trained.weights, name="mine", folder=tmp_path / "styles")
    assert files.safetensors.stat().st_size <= 500_000
    assert files.xml.stat().st_size + files.bin.stat().st_size <= 520_000


def test_an_installed_style_has_all_its_files(trained: Trained, studio: Path) -> None:
    install(trained, studio / "painting.png", studio / "styles", origin=Origin("A", "B", "1900", "public domain", "C"))
    names = sorted(path.name for path in (studio / "styles").iterdir())
    assert names == ["mine.bin", "mine.jpg", "mine.json", "mine.safetensors", "mine.xml"]
    card = json.loads((studio / "styles" / "mine.json").read_text())
    assert card["painter"] == "B" and card["seed"] == 1 and card["iterations"] == 7
    assert "measures" not in card


def test_measures_are_added_to_those_there(trained: Trained, studio: Path) -> None:
    install(trained, studio / "painting.png", studio / "styles")
    add_measures(studio / "styles" / "mine.json", {"style_distance": 0.5})
    add_measures(studio / "styles" / "mine.json", {"flicker": 0.1})
    card = json.loads((studio / "styles" / "mine.json").read_text())
    assert card["measures"] == {"style_distance": 0.5, "flicker": 0.1}
