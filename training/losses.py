"""The terms of training (Gatys 2016, Johnson 2016), each relative so that its weight keeps a meaning.

Style: Gram matrices over four octaves (Snelgrove 2017) against the painting. Content and colour: against the simplified
scene in the painting's colours (`training/scenes.py`, `training/palette.py`), not against the photo. Steadiness:
flicker is output that moves when the input only shivers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from training.backbone import Backbone, Features

# For each octave: how much the picture is shrunk, its layers, its weight. The last sees 350 px of the painting.
_OCTAVES = (
    (1, ("relu1_2", "relu2_2", "relu3_1"), 1.0),
    (2, ("relu2_2", "relu3_1", "relu4_1", "relu4_3"), 1.0),
    (4, ("relu3_1", "relu3_3", "relu4_1", "relu4_3"), 1.0),
    (8, ("relu3_1", "relu4_1"), 0.7),
)
# The full-size octave is looked at in a part of the crop: texture is alike everywhere, and it costs half of the time.
_PART_PX = 256
# Content: octave and layer, equal weights.
_CONTENT = ((1, "relu3_1"), (2, "relu4_1"))
# Share of the newest crop in the running mean of the Grams, and how much each crop alone must match the painting: a
# dark photo may stay dark if others are light. Asked of every crop alone, a night gets bright blots.
_NEWEST, _ALONE = 0.25, 0.5
# Local deviation of luma below which a scene counts as flat (0..1 scale).
_FLAT_DEVIATION = 0.02
# Areas whose mean colour counts, with their weights.
_AREAS_PX = ((48, 1.0), (16, 0.5))

Grams = list[dict[str, Tensor]]


@dataclass(frozen=True, slots=True)
class Terms:
    """The unweighted terms of one iteration, for the log."""

    style: float
    content: float
    colour: float
    calm: float
    face: float
    steadiness: float


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
    found: Tensor = _Gram.apply(features)  # type: ignore[no-untyped-call]
    return found


def octaves(backbone: Backbone, pictures: Tensor, *, part: tuple[int, int] | None = None) -> list[Features]:
    """The features of N x 3 x H x W pictures at four sizes; `part`: top left corner of the full-size octave's part."""
    found = []
    for shrink, layers, _ in _OCTAVES:
        seen = F.avg_pool2d(pictures, shrink) if shrink > 1 else pictures
        if shrink == 1 and part is not None:
            seen = seen[..., part[0] : part[0] + _PART_PX, part[1] : part[1] + _PART_PX]
        found.append(backbone(seen, layers))
    return found


def random_part(size_px: int, draw: Any) -> tuple[int, int] | None:
    """A place for the full-size octave's part in a crop of `size_px`; None where the crop is no larger."""
    if size_px <= _PART_PX:
        return None
    top, left = (int(value) for value in draw.integers(0, size_px - _PART_PX + 1, size=2))
    return top, left


class Style:
    """The painting's Gram matrices, and the running mean of those painted lately (part of a run's state)."""

    def __init__(self, backbone: Backbone, painting: Tensor) -> None:
        with torch.no_grad():
            self.wanted = _grams(octaves(backbone, painting))
        self.lately: Grams = []

    def loss(self, seen: list[Features]) -> Tensor:
        """Squared distance of Grams over the painting's squared size, mean over layers and octaves; N = 1.

        Half is asked of this crop, half of the mean over the latest crops.
        """
        ours = _grams(seen)
        if not self.lately:
            self.lately = [{name: value.detach().clone() for name, value in octave.items()} for octave in ours]
        total = torch.zeros((), device=seen[0]["relu1_2"].device)
        for (_, layers, weight), mine, mean, wanted in zip(_OCTAVES, ours, self.lately, self.wanted, strict=True):
            for name in layers:
                size = wanted[name].square().sum()
                alone = (mine[name] - wanted[name]).square().sum()
                together = (mean[name].lerp(mine[name], _NEWEST) - wanted[name]).square().sum() / _NEWEST
                total = total + weight / len(layers) * (_ALONE * alone + (1.0 - _ALONE) * together) / size
                mean[name].lerp_(mine[name].detach(), _NEWEST)
        return total * 2.0 / sum(weight for _, _, weight in _OCTAVES)


class Content:
    """Features of the simplified scene at two depths, each distance over its mean square in many scenes."""

    def __init__(self, backbone: Backbone, scenes: Tensor) -> None:
        self._backbone = backbone
        self._energies = [float(features.square().mean()) for features in self.of(scenes)]

    @torch.no_grad()
    def of(self, scene: Tensor) -> list[Tensor]:
        """What is wanted of a painting of this scene."""
        return [self._backbone(F.avg_pool2d(scene, _OCTAVES[octave][0]), (layer,))[layer] for octave, layer in _CONTENT]

    def loss(self, seen: list[Features], scene: Tensor) -> Tensor:
        """Mean over both depths; `seen`: the octaves of the painted picture."""
        total = torch.zeros((), device=scene.device)
        for (octave, layer), wanted, energy in zip(_CONTENT, self.of(scene), self._energies, strict=True):
            total = total + (seen[octave][layer].float() - wanted.float()).square().mean() / energy
        return total


def colour_loss(painted: Tensor, scene: Tensor) -> Tensor:
    """Difference of the mean colours of areas; an area of the width of a stroke would forbid strokes."""
    total = torch.zeros((), device=scene.device)
    for area_px, weight in _AREAS_PX:
        side = min(area_px, painted.shape[-1])
        total = total + weight * F.mse_loss(F.avg_pool2d(painted, side), F.avg_pool2d(scene, side))
    return total


def calm_loss(painted: Tensor, scene: Tensor) -> Tensor:
    """Difference from the scene where it is flat: a print has even skies, and the Grams ask for foam everywhere."""
    luma = scene.mean(1, keepdim=True)
    spread = (_blur(luma.square(), 9) - _blur(luma, 9).square()).clamp_min(0.0)
    flat = torch.exp(-spread / _FLAT_DEVIATION**2)
    return ((painted - scene).square() * flat).mean()


def face_loss(painted: Tensor, scene: Tensor, faces: Tensor) -> Tensor:
    """Inside faces: how much weaker eyes and mouths stand out than in the scene, and the difference of 3 px means."""
    wanted, ours = _marks(scene), _marks(painted)
    weaker = (F.relu(wanted.square() - wanted * ours) * faces).mean()
    apart = ((_blur(painted, 3) - _blur(scene, 3)).square() * faces).mean()
    return 3.0 * weaker + 0.3 * apart


def lattice_loss(painted: Tensor) -> Tensor:
    """How much the mean depends on the place in the network's 8 px grid: what repeats there is no stroke.

    Over windows of 96 px, twelve periods, so that real texture, which falls on any place, hardly counts.
    """
    n, c, h, w = painted.shape
    places = F.pixel_unshuffle(painted[..., : h // 8 * 8, : w // 8 * 8], 8).reshape(n, c * 64, h // 8, w // 8)
    means = F.avg_pool2d(places, min(12, h // 8, w // 8))
    return means.reshape(n, c, 64, *means.shape[2:]).var(2).mean()


def range_loss(painted: Tensor) -> Tensor:
    """How far values leave 0..1."""
    return (F.relu(painted - 1.0) + F.relu(-painted)).square().mean()


def _grams(seen: list[Features]) -> Grams:
    return [{name: gram(features) for name, features in octave.items()} for octave in seen]


def _marks(x: Tensor) -> Tensor:
    """What is 3 to 15 px wide, against its surroundings, in luma."""
    luma = x.mean(1, keepdim=True)
    return _blur(luma, 3) - _blur(luma, 15)


def _blur(x: Tensor, size: int) -> Tensor:
    return F.avg_pool2d(F.pad(x, (size // 2,) * 4, mode="reflect"), size, stride=1)
