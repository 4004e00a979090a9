"""What a good painting is, in numbers (Johnson 2016, Gatys 2016), each term relative so that weights keep a meaning.

Style: Gram matrices over several layers of the backbone. Content: one layer. Then quiet (no hatch where the photo is
flat), detail (eyes stay dark), variation, range, and stability: what a viewer sees as flicker is output that moves when
the input only shivers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from training.backbone import Backbone, Features

# Layer and weight in the style term. Large strokes live in the deep layers, contrast in the shallow ones.
STYLE_LAYERS = {"relu1_2": 2.0, "relu2_2": 2.5, "relu3_3": 1.5, "relu4_1": 1.5, "relu4_3": 2.0}
# The same at half the size, where a stroke is half as wide and the deep layers see twice as far.
COARSE_LAYERS = {"relu2_2": 1.0, "relu3_3": 1.5, "relu4_1": 2.5}
CONTENT_LAYER = "relu3_3"
# Depth of the edges that must not become a frame.
_EDGE_PX = 16
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


class _Gram(torch.autograd.Function):
    """One product each way, on channels_last as the backbone leaves them: a fifth of an iteration less than autograd's
    own way, which transposes, multiplies twice and adds."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        flat = features.permute(0, 2, 3, 1).flatten(1, 2)  # (N, H*W, C)
        ctx.save_for_backward(flat)
        ctx.shape = features.shape
        wide = flat.float()
        products: Tensor = wide.transpose(1, 2) @ wide / flat.shape[1]
        return products

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (flat,) = ctx.saved_tensors
        n, c, h, w = ctx.shape
        both = (gradient + gradient.transpose(1, 2)) / flat.shape[1]
        back: Tensor = (flat @ both.to(flat.dtype)).reshape(n, h, w, c).permute(0, 3, 1, 2)
        return back


def gram(features: Tensor) -> Tensor:
    """N x C x H x W to N x C x C, divided by H*W, in fp32 whatever came in."""
    wanted: Tensor = _Gram.apply(features)  # type: ignore[no-untyped-call]
    return wanted


@dataclass(frozen=True, slots=True)
class Style:
    """The Gram matrices to aim at, of the painting and of its half-size copy."""

    fine: Features
    coarse: Features

    @staticmethod
    def of(backbone: Backbone, painting: Tensor) -> Style:
        """Take them from the whole painting (1 x 3 x H x W)."""
        with torch.no_grad():
            fine, coarse = look(backbone, painting)
        return Style(*({name: gram(x) for name, x in features.items()} for features in (fine, coarse)))


def look(backbone: Backbone, pictures: Tensor) -> tuple[Features, Features]:
    """The features of N x 3 x H x W pictures, and of their half-size copies."""
    return backbone(pictures, tuple(STYLE_LAYERS)), backbone(F.avg_pool2d(pictures, 2), tuple(COARSE_LAYERS))


def style_loss(features: Features, wanted: Features, layers: dict[str, float]) -> Tensor:
    """Squared distance of Grams over the wanted one's squared size, weighted mean over `layers`.

    Half of it is asked of each picture, half of the batch as a whole: a dark photo may stay dark beside a light one,
    where asking every crop for every tone makes bright blots in its shadows.
    """
    total = torch.zeros((), device=next(iter(features.values())).device)
    for name, weight in layers.items():
        ours, size = gram(features[name]), wanted[name].square().sum()
        each = (ours - wanted[name]).square().sum((1, 2)).mean()
        together = (ours.mean(0) - wanted[name][0]).square().sum()
        total = total + weight * 0.5 * (each + together) / size
    return total / sum(layers.values())


def content_loss(features: Features, photo: Tensor, energy: float) -> Tensor:
    """Mean squared distance at the content layer over `energy`, its mean square over many photos.

    Over each photo's own it would be the flat crops that count most. `photo`: the content layer of the photos.
    """
    return (features[CONTENT_LAYER].float() - photo.float()).square().mean() / energy


def quiet_loss(painted: Tensor, photo: Tensor) -> Tensor:
    """Fine detail of the painted picture (what a 5x5 blur removes) where the photo has none."""
    luma = photo.mean(1, keepdim=True)
    spread = (_blur(luma.square(), 9) - _blur(luma, 9).square()).clamp_min(0.0)
    flat = torch.exp(-spread / _FLAT_DEVIATION**2)
    return ((painted - _blur(painted, 5)).square() * flat).mean()


def palette_loss(painted: Tensor, recoloured: Tensor, area_px: int) -> Tensor:
    """Difference of small areas (means of `area_px` squared) from the photo in the painting's colours.

    An area of the width of a stroke forbids strokes; one of two or three strokes asks them to keep the area's colour.
    """
    return F.mse_loss(F.avg_pool2d(painted, area_px), F.avg_pool2d(recoloured, area_px))


def lattice_loss(painted: Tensor) -> Tensor:
    """How much the mean depends on the place in the network's 8 px grid: what repeats there is no stroke.

    Over windows of 96 px, twelve periods, so that real texture, which falls on any place, hardly counts.
    """
    n, c, h, w = painted.shape
    places = F.pixel_unshuffle(painted[..., : h // 8 * 8, : w // 8 * 8], 8).reshape(n, c * 64, h // 8, w // 8)
    means = F.avg_pool2d(places, min(12, h // 8, w // 8))
    return means.reshape(n, c, 64, *means.shape[2:]).var(2).mean()


def detail_loss(painted: Tensor, photo: Tensor) -> Tensor:
    """How much weaker small marks of the photo, an eye, a mouth, a window, stand out in luma from what is around them.

    Stronger ones are free, and so are marks that the photo has not: those are strokes.
    """
    wanted, ours = _marks(photo), _marks(painted)
    return F.relu(wanted.square() - wanted * ours).mean()


def frame_loss(painted: Tensor, recoloured: Tensor) -> Tensor:
    """How much lighter or darker lines along the edges are than what is behind them, beyond the recoloured photo's.

    Padding mirrors the picture there, so strokes that run along an edge meet their own image: without this one style
    drew a line of 30 of 255 along it.
    """
    return (_edges(painted) - _edges(recoloured)).square().mean()


def variation_loss(painted: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels."""
    return painted.diff(dim=2).abs().mean() + painted.diff(dim=3).abs().mean()


def range_loss(painted: Tensor) -> Tensor:
    """How far values leave 0..1."""
    return (F.relu(painted - 1.0) + F.relu(-painted)).square().mean()


def _edges(x: Tensor) -> Tensor:
    """N x 4C x 16: mean colour of every line of the outer 16 px of each side, over that of the 32 px behind them."""
    sides = []
    for across in (2, 3):
        lines = x.mean(5 - across)
        sides += [
            side[..., :_EDGE_PX] - side[..., _EDGE_PX : 3 * _EDGE_PX].mean(2, keepdim=True)
            for side in (lines, lines.flip(2))
        ]
    return torch.cat(sides, 1)


def _marks(x: Tensor) -> Tensor:
    """What is 3 to 15 px wide, against what is around it."""
    luma = x.mean(1, keepdim=True)
    return _blur(luma, 3) - _blur(luma, 15)


def _blur(x: Tensor, size: int) -> Tensor:
    return F.avg_pool2d(F.pad(x, (size // 2,) * 4, mode="reflect"), size, stride=1)
