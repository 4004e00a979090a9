"""The network we compare ours with is trained to the end of its time."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import classic_training
from tests.training.conftest import studio as studio
from tests.training.conftest import write_picture
from training.shipped import SHIPPED
from workers.classic_network import load_classic


def test_it_is_trained_to_the_end_and_loads_as_a_style(studio: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wave = SHIPPED["wave"]
    small = replace(wave, recipe=replace(wave.recipe, crop_px=64, batch=1, warm_up=1, crops=4))
    monkeypatch.setitem(SHIPPED, "wave", small)
    materials = studio / "materials"
    write_picture(materials / "paintings" / wave.file, 1)
    (materials / "photos").mkdir()
    (studio / "photos").rename(materials / "photos" / "train")
    written = classic_training.train_classic("wave", minutes=0.05, materials=materials, out=studio)
    painted = load_classic(written).paint(torch.rand(1, 3, 32, 32))
    assert painted.isfinite().all()
