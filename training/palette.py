"""A colour map from photos to a painting's pigments, as one 33³ table.

Sliced optimal transport (Pitié 2005) carries the photos' colours onto the painting's; then each colour is drawn to the
nearest pigments, so a scene becomes a few confident areas of the painting's colours instead of a tint. The painting's
pixels are weighted by rarity of their luma and by chroma: a moon that fills 2 % of a canvas still lights the lamps.
"""

from __future__ import annotations

import cv2
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
# How far rare lumas and strong colours of the painting are favoured over their area.
_RARITY, _VIVID = 0.6, 1.0
# Gain of lightness and chroma about the painting's mean before the pigments are chosen.
_CONTRAST, _CHROMA = 1.2, 1.6
# Number of pigments, and how softly a colour is shared between neighbouring ones (CIE Lab, 8-bit scale).
_PIGMENTS, _SOFTNESS = 20, 10.0
_LUMA = np.array([0.299, 0.587, 0.114])

Colours = NDArray[np.float64]


class Palette:
    """Call it with N x 3 x H x W RGB 0..1 to get the same picture in the painting's colours."""

    def __init__(self, photos: Tensor, painting: Tensor) -> None:
        """`photos` and `painting`: N x 3 x H x W RGB 0..1, sampled for their distributions."""
        axis = np.linspace(0.0, 1.0, _GRID)
        lattice = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
        pixels = _pixels(painting)
        table = _transport(lattice, _sample(_pixels(photos)), _sample(pixels, _weights(pixels)))
        table = _drawn_to_pigments(table.clip(0.0, 1.0), pixels)
        cube = torch.from_numpy(table).float().reshape(_GRID, _GRID, _GRID, 3).permute(3, 0, 1, 2)[None]
        self._cube = F.avg_pool3d(F.pad(cube, (1,) * 6, mode="replicate"), 3, stride=1)  # (1, 3, R, G, B)

    def __call__(self, x: Tensor) -> Tensor:
        # grid_sample wants the last axis of the table (blue) first.
        place = (x.permute(0, 2, 3, 1).flip(-1) * 2.0 - 1.0)[:, None]  # (N, 1, H, W, 3)
        cube = self._cube.to(x.device).expand(x.shape[0], -1, -1, -1, -1)
        mapped = F.grid_sample(cube, place, mode="bilinear", padding_mode="border", align_corners=True)
        return mapped[:, :, 0]


def _pixels(x: Tensor) -> Colours:
    return x.permute(0, 2, 3, 1).reshape(-1, 3).cpu().numpy().astype(np.float64)


def _weights(pixels: Colours) -> Colours:
    level = (pixels @ _LUMA * 31.0).astype(np.int64)
    chroma = np.ptp(pixels, axis=1)
    rarity = (1.0 / np.bincount(level, minlength=32)[level]) ** _RARITY
    weights: Colours = rarity * (1.0 + _VIVID * chroma / max(float(chroma.mean()), 1e-6))
    return weights


def _sample(pixels: Colours, weights: Colours | None = None) -> Colours:
    chances = None if weights is None else weights / weights.sum()
    colours: Colours = pixels[np.random.default_rng(3).choice(len(pixels), _SAMPLES, p=chances)]
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


def _drawn_to_pigments(table: Colours, painting: Colours) -> Colours:
    """Give each colour of `table` the softly nearest pigments, after more contrast and chroma."""
    # Sampled by the same weights, so that a rare strong colour gets a pigment of its own.
    lab = _lab(_sample(painting, _weights(painting)))
    cv2.setRNGSeed(3)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 60, 0.1)
    count = min(_PIGMENTS, len(np.unique(lab, axis=0)))
    _, _, pigments = cv2.kmeans(lab, count, None, criteria, 3, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    middle = np.array([lab[:, 0].mean(), 128.0, 128.0], np.float32)
    wanted = middle + (_lab(table) - middle) * np.array([_CONTRAST, _CHROMA, _CHROMA], np.float32)
    apart = np.square(wanted[:, None] - pigments[None]).sum(-1)
    shares = np.exp((apart.min(1, keepdims=True) - apart) / (2.0 * _SOFTNESS**2))
    mixed = (shares / shares.sum(1, keepdims=True)) @ pigments
    levels = np.clip(mixed, 0.0, 255.0).astype(np.uint8)[None]
    colours: Colours = cv2.cvtColor(levels, cv2.COLOR_LAB2RGB)[0].astype(np.float64) / 255.0
    return colours


def _lab(colours: Colours) -> NDArray[np.float32]:
    levels = np.round(colours.clip(0.0, 1.0) * 255.0).astype(np.uint8)[None]
    return np.asarray(cv2.cvtColor(levels, cv2.COLOR_RGB2LAB)[0], np.float32)
