"""A studio in a folder: a tiny backbone of random weights, a painting and a dozen photos."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

_CHANNELS = {1: 4, 2: 4, 3: 6, 4: 6}
_CONVOLUTIONS = {1: 2, 2: 2, 3: 3, 4: 3}


def _write_backbone(path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    weights, inputs = {}, 3
    for block, count in _CONVOLUTIONS.items():
        for index in range(1, count + 1):
            shape = (_CHANNELS[block], inputs, 3, 3)
            weights[f"conv{block}_{index}.weight"] = torch.randn(shape, generator=generator) * 0.2
            weights[f"conv{block}_{index}.bias"] = torch.zeros(_CHANNELS[block])
            inputs = _CHANNELS[block]
    save_file(weights, path)


def write_picture(path: Path, seed: int, size: tuple[int, int] = (320, 280)) -> Path:
    """A smooth random picture (width, height)."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 10, 3), dtype=np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse.resize(size, Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def studio(tmp_path: Path) -> Path:
    """`painting.png`, `photos/`, `materials/vgg16.safetensors`."""
    write_picture(tmp_path / "painting.png", 1)
    for index in range(12):
        write_picture(tmp_path / "photos" / f"{index:02d}.png", 10 + index)
    (tmp_path / "materials").mkdir()
    _write_backbone(tmp_path / "materials" / "vgg16.safetensors")
    return tmp_path
