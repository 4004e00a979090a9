"""What a good painting is, in numbers (Johnson 2016, Gatys 2016), each term relative so that weights keep their meaning.

Style: Gram matrices over several layers of the backbone. Content: one layer. Then quiet (no hatch where the photo is
flat), variation, range, and stability: what a viewer sees as flicker is output that moves when the input only shivers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.backbone import Backbone, Features

# Layer and weight in the style term. relu4_1 counts double: it holds the large strokes.
STYLE_LAYERS = {"relu1_2": 1.0, "relu2_2": 1.0, "relu3_3": 1.0, "relu4_1": 2.0}
CONTENT_LAYER = "relu3_3"
# Local deviation of luma below which a photo counts as flat (0..1 scale).
_FLAT_DEVIATION = 0.02


@dataclass(frozen=True, slots=True)
class Terms:
    """The unweighted terms of one iteration, for the log."""

    style: float
    content: float
    quiet: float
    stability: float


def gram(features: Tensor) -> Tensor:
    """N x C x H x W to N x C x C, divided by H*W, in fp32 whatever came in."""
    n, c, h, w = features.shape
    flat = features.float().reshape(n, c, h * w)
    return flat @ flat.transpose(1, 2) / (h * w)


def style_grams(backbone: Backbone, painting: Tensor) -> Features:
    """The Gram matrices to aim at, from the whole painting (1 x 3 x H x W)."""
    with torch.no_grad():
        return {name: gram(x) for name, x in backbone(painting, tuple(STYLE_LAYERS)).items()}


def style_loss(features: Features, wanted: Features) -> Tensor:
    """Squared distance of Grams over the wanted one's squared size, weighted mean over layers and batch."""
    total = torch.zeros(())
    for name, weight in STYLE_LAYERS.items():
        distance = (gram(features[name]) - wanted[name]).square().sum((1, 2)) / wanted[name].square().sum((1, 2))
        total = total + weight * distance.mean()
    return total / sum(STYLE_LAYERS.values())


def content_loss(features: Features, photo: Features) -> Tensor:
    """Squared distance at the content layer over the photo's squared size."""
    ours, theirs = features[CONTENT_LAYER].float(), photo[CONTENT_LAYER].float()
    return ((ours - theirs).square().sum((1, 2, 3)) / theirs.square().sum((1, 2, 3)).clamp_min(1e-6)).mean()


def quiet_loss(painted: Tensor, photo: Tensor) -> Tensor:
    """Fine detail of the painted picture (what a 5x5 blur removes) where the photo has none."""
    luma = photo.mean(1, keepdim=True)
    spread = (_blur(luma.square(), 9) - _blur(luma, 9).square()).clamp_min(0.0)
    flat = torch.exp(-spread / _FLAT_DEVIATION**2)
    return ((painted - _blur(painted, 5)).square() * flat).mean()


def variation_loss(painted: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels."""
    return painted.diff(dim=2).abs().mean() + painted.diff(dim=3).abs().mean()


def range_loss(painted: Tensor) -> Tensor:
    """How far values leave 0..1."""
    return (F.relu(painted - 1.0) + F.relu(-painted)).square().mean()


def _blur(x: Tensor, size: int) -> Tensor:
    return F.avg_pool2d(F.pad(x, (size // 2,) * 4, mode="reflect"), size, stride=1)
