"""How far a painted picture is from a painting's style and from its photo's content, by measures no training loss uses.

Style: sliced Wasserstein distance (Heitz 2021, arXiv 2006.07229) between VGG-19 features, over four octaves of picture
and painting, each at the size at which people see it (within 640×480). Content: distance of the directions of the
features at relu4_2 of the half-size picture. Product: (1 + content)·(1 + style), after ArtFID (Wright & Ommer 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from benchmarks.style_measures import Pixels
from benchmarks.vgg19 import Vgg19

OCTAVES = 4
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1")
CONTENT_LAYER, _CONTENT_OCTAVE = "relu4_2", 1
# A distribution is kept as that many of its quantiles, from at most so many places of a layer.
_QUANTILES, _MOST_PLACES = 1024, 16384
_SEED = 1

#: Quantiles along each direction, (directions, quantiles), by octave and layer.
Style = dict[tuple[int, str], Tensor]


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture as the judge sees it. `content`: unit vectors, (channels, places)."""

    style: Style
    content: Tensor


class Judge:
    """Looks at pictures, H×W×3 uint8 BGR."""

    def __init__(self, network: Vgg19) -> None:
        self._network = network

    @torch.no_grad()
    def look(self, picture: Pixels) -> Seen:
        """Take a picture's style and content."""
        style: Style = {}
        content = torch.empty(0)
        for octave in range(OCTAVES):
            is_content = octave == _CONTENT_OCTAVE
            layers = (*STYLE_LAYERS, CONTENT_LAYER) if is_content else STYLE_LAYERS
            features = self._network(_tensor(_halved(picture, octave)), layers)
            style |= {(octave, layer): quantiles(features[layer][0].flatten(1)) for layer in STYLE_LAYERS}
            if is_content:
                content = torch.nn.functional.normalize(features[CONTENT_LAYER][0].flatten(1), dim=0)
        return Seen(style, content)

    def floor(self, painting: Pixels) -> float:
        """Style distance between a painting's two halves: nearer than that a picture need not be."""
        middle = painting.shape[1] // 2
        left, right = self.look(painting[:, :middle]).style, self.look(painting[:, middle:]).style
        return (style_distance(left, right) + style_distance(right, left)) / 2


def quantiles(features: Tensor) -> Tensor:
    """(C, N) → (C directions, 1024): quantiles of the features' projections on C fixed random directions."""
    channels, places = features.shape
    generator = torch.Generator().manual_seed(_SEED)
    directions = torch.nn.functional.normalize(torch.randn(channels, channels, generator=generator), dim=1)
    if places > _MOST_PLACES:
        features = features[:, torch.randperm(places, generator=generator)[:_MOST_PLACES]]
    ordered = (directions @ features).sort(dim=1).values
    wanted = (torch.arange(_QUANTILES) + 0.5) / _QUANTILES * ordered.shape[1] - 0.5
    wanted = wanted.clamp(0, ordered.shape[1] - 1)
    below = wanted.floor().long().clamp(max=max(ordered.shape[1] - 2, 0))
    above = (below + 1).clamp(max=ordered.shape[1] - 1)
    return torch.lerp(ordered[:, below], ordered[:, above], wanted - below)


def style_distance(ours: Style, wanted: Style) -> float:
    """Mean over octaves and layers of the squared sliced Wasserstein distance over the wanted one's variance."""
    shares = [
        float((ours[place] - of_painting).square().mean() / of_painting.var(dim=1, correction=0).mean())
        for place, of_painting in wanted.items()
    ]
    return sum(shares) / len(shares)


def content_distance(ours: Tensor, wanted: Tensor) -> float:
    """Mean over all places of the squared distance between unit vectors: 0 is the same, 2 nothing in common."""
    return float((ours - wanted).square().sum(dim=0).mean())


def product(style: float, content: float) -> float:
    """One figure of both, after ArtFID."""
    return (1 + content) * (1 + style)


def _halved(picture: Pixels, times: int) -> Pixels:
    size = max(1, round(picture.shape[1] / 2**times)), max(1, round(picture.shape[0] / 2**times))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _tensor(picture: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float()
