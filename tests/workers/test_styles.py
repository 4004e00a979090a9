"""Styles are found by name, in the shipped folder and the user's own; what is wrong is said in one line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline.errors import StyleError
from pipeline.process.config import settings
from tests.workers.tiny import Pixels, StyleFiles
from workers import styles
from workers.classic_network import TransformerNet
from workers.fake_styles import load_standin
from workers.openvino_engine import OpenVinoEngine
from workers.styles import Style, find_style, list_styles, load_engine
from workers.torch_engine import TorchEngine


@pytest.fixture(autouse=True)
def shipped(tiny: StyleFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three shipped styles made of the tiny one, and an empty folder of the user's own."""
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("wave", "starry", "cafe"):
        for source in (tiny.torch_file, tiny.export, tiny.export.with_suffix(".bin")):
            (folder / f"{name}{source.suffix}").write_bytes(source.read_bytes())
    card = {
        "name": "wave",
        "painting": "The Great Wave",
        "painter": "Hokusai",
        "year": 1831,
        "licence": "public domain",
    }
    (folder / "wave.json").write_text(json.dumps(card))
    monkeypatch.setattr(styles, "SHIPPED", folder)
    monkeypatch.setenv("PAINTER_STYLES_DIR", str(tmp_path / "own"))
    settings.cache_clear()
    return folder


def own(name: str, source: Path) -> Path:
    folder = settings().styles_dir
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(source.read_bytes())
    return folder / name


def test_the_list_names_each_style_with_its_card() -> None:
    wave = find_style("wave")
    assert [style.name for style in list_styles()] == ["cafe", "starry", "wave"]
    assert (wave.painting, wave.painter, wave.year, wave.licence) == (
        "The Great Wave", "Hokusai", "1831", "public domain",
    )  # fmt: skip
    assert wave.size_bytes > 10_000


@pytest.mark.parametrize("card", ["{broken", "[" * 100_000, "\0", "[1]"], ids=["cut", "nested", "binary", "a list"])
def test_a_broken_card_costs_the_description_and_not_the_style(shipped: Path, card: str) -> None:
    (shipped / "cafe.json").write_text(card)
    assert find_style("cafe").painting == ""


def test_a_users_own_style_is_listed_and_hides_a_shipped_one(tiny: StyleFiles) -> None:
    own("wave.safetensors", tiny.torch_file)
    own("mine.safetensors", tiny.torch_file)
    assert [(s.name, s.is_own) for s in list_styles()] == [
        ("cafe", False), ("mine", True), ("starry", False), ("wave", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wavy", "did you mean wave?"),
        ("stary", "did you mean starry?"),
        ("xyz", "there are cafe, starry, wave"),
        ("", "which style? --style takes one of cafe, starry, wave"),
        ("../wave", "no style"),
        ("nowhere/candy.pth", "no weights file nowhere/candy.pth"),
        ("test-identity", "no style"),
    ],
)
def test_an_unknown_style_is_refused_with_what_would_be_right(name: str, said: str) -> None:
    with pytest.raises(StyleError) as refused:
        find_style(name)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_test_styles_are_served_only_where_asked_for_and_never_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAINTER_TEST_STYLES", "1")
    settings.cache_clear()
    assert find_style("test-identity") == Style("test-identity")
    assert not any(style.name.startswith("test-") for style in list_styles())
    with pytest.raises(StyleError, match="no test style"):
        load_standin("test-nonsense", jpeg_quality=95)


def test_a_cpu_takes_the_export_and_torch_where_there_is_none(tiny: StyleFiles, photo: Pixels) -> None:
    own("mine.safetensors", tiny.torch_file)
    assert isinstance(load_engine(find_style("wave"), "cpu", 1), OpenVinoEngine)
    assert isinstance(load_engine(find_style("mine"), "cpu", 1), TorchEngine)


def test_a_classic_checkpoint_is_a_style_by_its_path(tmp_path: Path) -> None:
    torch.save(TransformerNet().state_dict(), tmp_path / "Candy.pth")
    candy = find_style(str(tmp_path / "Candy.pth"))
    assert (candy.name, candy.is_own, candy.export) == ("candy", True, None)
    assert isinstance(load_engine(candy, "cpu", 1), TorchEngine)


def test_a_worker_is_told_of_weights_that_are_not_ours(tiny: StyleFiles) -> None:
    assert find_style("wave").own_weights is None
    assert find_style(str(tiny.torch_file)).own_weights == tiny.torch_file
    alone = own("mine.xml", tiny.export)
    own("mine.bin", tiny.export.with_suffix(".bin"))
    assert find_style(str(alone)).own_weights == alone


@pytest.mark.parametrize("name", ["wave.safetensors", "wave.xml", "wave.pth"])
def test_weights_that_do_not_load_are_named_in_one_line(name: str) -> None:
    broken = own(name, Path(__file__))
    with pytest.raises(StyleError) as refused:
        load_engine(find_style(str(broken)), "cpu", 1)
    assert "'wave' cannot be loaded on cpu" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_style_without_weights_for_the_device_says_so() -> None:
    with pytest.raises(StyleError, match="has no weights for cuda:0"):
        load_engine(Style("bare"), "cuda:0", 1)


def test_listing_styles_and_importing_the_task_load_no_engine() -> None:
    script = (
        "import sys, workers.tasks, workers.styles as s; s.list_styles();"
        "print([m for m in ('torch', 'openvino', 'av') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert loaded.stdout.strip() == "[]"
