"""A colour map from photos to a painting's palette: sliced optimal transport (Pitie 2005) as one 33^3 table.

The network learns this map first, in seconds and without the backbone, so that the strokes are trained on the right
colours from the first step; later its low frequencies keep lights light and skies of one colour.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

_GRID = 33
_ROUNDS = 24
# Half of each step: full steps overshoot between the sampled colours and posterise.
_STEP = 0.5
_QUANTILES = np.linspace(0.0, 1.0, 96)
_SAMPLES = 20_000

Colours = NDArray[np.float64]


class Palette:
    """Call it with N x 3 x H x W RGB 0..1 to get the same picture in the painting's colours."""

    def __init__(self, photos: Tensor, painting: Tensor, *, vivid: float = 0.0) -> None:
        """`vivid` above 0 counts a painting's strong colours for more than their area."""
        axis = np.linspace(0.0, 1.0, _GRID)
        lattice = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
        table = _transport(lattice, _sample(photos), _sample(painting, vivid)).clip(0.0, 1.0)
        cube = torch.from_numpy(table).float().reshape(_GRID, _GRID, _GRID, 3).permute(3, 0, 1, 2)[None]
        self._cube = F.avg_pool3d(F.pad(cube, (1,) * 6, mode="replicate"), 3, stride=1)  # (1, 3, R, G, B)

    def __call__(self, x: Tensor) -> Tensor:
        # grid_sample wants the last axis of the table (blue) first.
        place = (x.permute(0, 2, 3, 1).flip(-1) * 2.0 - 1.0)[:, None]  # (N, 1, H, W, 3)
        cube = self._cube.to(x.device).expand(x.shape[0], -1, -1, -1, -1)
        mapped = F.grid_sample(cube, place, mode="bilinear", padding_mode="border", align_corners=True)
        return mapped[:, :, 0]


def _sample(x: Tensor, vivid: float = 0.0) -> Colours:
    pixels = x.permute(0, 2, 3, 1).reshape(-1, 3).cpu().numpy().astype(np.float64)
    chroma = np.ptp(pixels, axis=1)
    chances = 1.0 + vivid * chroma / max(float(chroma.mean()), 1e-6)
    chosen = np.random.default_rng(3).choice(len(pixels), _SAMPLES, p=chances / chances.sum())
    colours: Colours = pixels[chosen]
    return colours


def _transport(points: Colours, source: Colours, target: Colours) -> Colours:
    """Carry `points` along while `source` is moved onto `target`, one random basis after another."""
    rng = np.random.default_rng(5)
    for _ in range(_ROUNDS):
        basis = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        source, points, wanted = source @ basis, points @ basis, target @ basis
        for axis in range(3):
            have = np.quantile(source[:, axis], _QUANTILES)
            move = _STEP * (np.quantile(wanted[:, axis], _QUANTILES) - have)
            points[:, axis] += np.interp(points[:, axis], have, move)
            source[:, axis] += np.interp(source[:, axis], have, move)
        source, points = source @ basis.T, points @ basis.T
    return points
