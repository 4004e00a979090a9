"""VGG-16 up to relu4_3, frozen: the eyes of the perceptual losses (Simonyan 2015, arXiv 1409.1556).

Weights come as safetensors with keys `conv1_1.weight` ... in the channel order of the original Caffe release (BGR), as
`training.materials` extracts them, or from torchvision where that is installed.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.errors import UsageError

# Convolutions per block, as far as any loss looks.
_BLOCKS = {1: 2, 2: 2, 3: 3, 4: 3}
_NAMES = tuple(f"{block}_{index}" for block, count in _BLOCKS.items() for index in range(1, count + 1))
# Mean colour of ImageNet in RGB 0..1; the original network saw BGR 0..255 minus this.
_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)

Features = dict[str, Tensor]


class Backbone(nn.Module):
    """Map N x 3 x H x W, RGB 0..1, to its activations by name (`relu1_2` ...), up to the deepest one asked for."""

    mean: Tensor

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        for name in _NAMES:
            weight = weights[f"conv{name}.weight"].float().contiguous(memory_format=torch.channels_last)
            self.register_buffer(f"weight{name}", weight)
            self.register_buffer(f"bias{name}", weights[f"conv{name}.bias"].float())
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))

    def forward(self, x: Tensor, layers: tuple[str, ...]) -> Features:
        x = (x - self.mean).contiguous(memory_format=torch.channels_last)
        found: Features = {}
        for name in _NAMES:
            if name.endswith("_1") and name != "1_1":
                x = F.max_pool2d(x, 2)
            # Zeros would teach the network to draw a frame along the edges.
            x = F.pad(x, (1, 1, 1, 1), mode="reflect")
            x = F.relu(F.conv2d(x, getattr(self, f"weight{name}"), getattr(self, f"bias{name}")))
            if f"relu{name}" in layers:
                found[f"relu{name}"] = x
                if len(found) == len(layers):
                    return found
        raise ValueError(f"no such layer among {layers}")


def load_backbone(path: Path | None) -> Backbone:
    """Read the weights file, or take torchvision's where no file is given; raises UsageError when there is neither."""
    weights = _from_torchvision() if path is None or not path.exists() else load_file(path)
    # Images are RGB 0..1 here: fold the channel flip and the x255 into the first convolution.
    weights["conv1_1.weight"] = weights["conv1_1.weight"].float().flip(1) * 255.0
    return Backbone(weights).eval().requires_grad_(False)


def _from_torchvision() -> dict[str, Tensor]:
    try:
        from torchvision.models import VGG16_Weights, vgg16  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise UsageError(
            "training needs VGG-16: run `make materials`, or `pip install power-painter[train]`"
        ) from error
    model = vgg16(weights=VGG16_Weights.IMAGENET1K_V1)
    convolutions = [layer for layer in model.features if isinstance(layer, nn.Conv2d)]
    weights = {}
    for name, layer in zip(_NAMES, convolutions, strict=False):
        weights[f"conv{name}.weight"], weights[f"conv{name}.bias"] = layer.weight.detach(), _bias(layer)
    # torchvision's network saw RGB divided by the standard deviation: bring it to this module's convention.
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    weights["conv1_1.weight"] = (weights["conv1_1.weight"] / deviation).flip(1) / 255.0
    return weights


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias.detach()
