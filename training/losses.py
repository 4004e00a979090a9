"""What a good painting is, in numbers (Johnson 2016, Gatys 2016), each term relative so that weights keep a meaning.

Style: Gram matrices over several layers of the backbone. Content: one layer. Then quiet (no hatch where the photo is
flat), variation, range, and stability: what a viewer sees as flicker is output that moves when the input only shivers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.backbone import Backbone, Features

# Layer and weight in the style term. Large strokes live in the deep layers, contrast in the shallow ones.
STYLE_LAYERS = {"relu1_2": 1.0, "relu2_2": 1.5, "relu3_3": 1.5, "relu4_1": 2.5}
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
    palette: float


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
    """Squared distance of Grams over the wanted one's squared size, weighted mean over layers.

    Half of it is asked of each picture, half of the batch as a whole: a dark photo may stay dark beside a light one,
    where asking every crop for every tone makes bright blots in its shadows.
    """
    total = torch.zeros((), device=next(iter(features.values())).device)
    for name, weight in STYLE_LAYERS.items():
        ours, size = gram(features[name]), wanted[name].square().sum()
        each = (ours - wanted[name]).square().sum((1, 2)).mean()
        together = (ours.mean(0) - wanted[name][0]).square().sum()
        total = total + weight * 0.5 * (each + together) / size
    return total / sum(STYLE_LAYERS.values())


def content_loss(features: Features, photo: Features, energy: float) -> Tensor:
    """Mean squared distance at the content layer over `energy`, its mean square over many photos.

    Over each photo's own it would be the flat crops that count most.
    """
    ours, theirs = features[CONTENT_LAYER].float(), photo[CONTENT_LAYER].float()
    return (ours - theirs).square().mean() / energy


def quiet_loss(painted: Tensor, photo: Tensor) -> Tensor:
    """Fine detail of the painted picture (what a 5x5 blur removes) where the photo has none."""
    luma = photo.mean(1, keepdim=True)
    spread = (_blur(luma.square(), 9) - _blur(luma, 9).square()).clamp_min(0.0)
    flat = torch.exp(-spread / _FLAT_DEVIATION**2)
    return ((painted - _blur(painted, 5)).square() * flat).mean()


def palette_loss(painted: Tensor, recoloured: Tensor) -> Tensor:
    """Difference of large areas (16 px means) from the photo in the painting's colours."""
    return F.mse_loss(F.avg_pool2d(painted, 16), F.avg_pool2d(recoloured, 16))


def variation_loss(painted: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels."""
    return painted.diff(dim=2).abs().mean() + painted.diff(dim=3).abs().mean()


def range_loss(painted: Tensor) -> Tensor:
    """How far values leave 0..1."""
    return (F.relu(painted - 1.0) + F.relu(-painted)).square().mean()


def _blur(x: Tensor, size: int) -> Tensor:
    return F.avg_pool2d(F.pad(x, (size // 2,) * 4, mode="reflect"), size, stride=1)
