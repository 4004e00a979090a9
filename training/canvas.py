"""The canvas while a style trains: grain over random windows, crisp edges and tone, as tensors with gradients.

What `workers.canvas` and `workers.grain` do to whole frames of bytes; a test holds the two to each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from workers import canvas, grain


class Grain:
    """The grain, on one device. Its fields are N x 2 x H x W, -1..1; `lay` puts them on a checkerboard."""

    def __init__(self, device: torch.device) -> None:
        self._fields = torch.from_numpy(grain.fields().copy()).to(device)  # (2, PERIOD, PERIOD)
        self._directions = torch.tensor(grain.DIRECTIONS_BGR, device=device).flip(1)  # (2, 3), RGB

    def draw(self, rng: np.random.Generator, count: int, size_px: int) -> Tensor:
        """Fields of `count` windows of the canvas."""
        windows = []
        for _ in range(count):
            down, right = (int(value) for value in rng.integers(0, grain.PERIOD_PX, size=2))
            windows.append(self.window(size_px, size_px, down_px=down, right_px=right))
        return torch.cat(windows)

    def window(self, height: int, width: int, *, down_px: int = 0, right_px: int = 0) -> Tensor:
        """The fields of one window (1 x 2 x H x W)."""
        rows = torch.arange(down_px, down_px + height, device=self._fields.device) % grain.PERIOD_PX
        columns = torch.arange(right_px, right_px + width, device=self._fields.device) % grain.PERIOD_PX
        return self._fields[:, rows[:, None], columns][None]

    def lay(self, x: Tensor, fields: Tensor, strength: float) -> Tensor:
        """N x 3 x H x W, RGB 0..1, with the grain of these fields over it.

        The checkerboard stays where it is when fields are moved: its phase is the network's own grid.
        """
        rows, columns = (torch.arange(side, device=x.device) for side in x.shape[2:])
        checkerboard = 1.0 - 2.0 * ((rows[:, None] + columns) % 2).float()
        pattern = torch.einsum("nkhw,kc->nchw", fields * checkerboard, self._directions)
        return (x + pattern * (strength / 255.0)).clamp(0.0, 1.0)


def sharpened(x: Tensor, share: float) -> Tensor:
    """N x 3 x H x W with `share` of what a 5x5 binomial blur takes away added to it; not clamped, as painting is."""
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=x.dtype, device=x.device) / 16.0
    kernel = (taps[:, None] * taps).expand(x.shape[1], 1, 5, 5)
    soft = F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, groups=x.shape[1])
    return x + share * (x - soft)


@dataclass(frozen=True, slots=True)
class Tone:
    """A painting's tone: mean (1 x 3 x 1 x 1) and deviation of luma (1 x 1 x 1 x 1), RGB 0..1."""

    mean: Tensor
    deviation: Tensor

    @staticmethod
    def of(painting: Tensor) -> Tone:
        """1 x 3 x H x W, RGB 0..1."""
        return Tone(painting.mean((2, 3), keepdim=True), _luma(painting).std((2, 3), keepdim=True))

    def finished(self, x: Tensor) -> Tensor:
        """N x 3 x H x W carried towards the tone, each picture by its own mean and deviation; not clamped."""
        mean, deviation = x.mean((2, 3), keepdim=True), _luma(x).std((2, 3), keepdim=True)
        gain = (self.deviation / deviation.clamp_min(1e-3)) ** canvas.TONE_SHARE
        brighter = _luma(self.mean - mean)
        tint = canvas.TONE_SHARE * (self.mean - mean - brighter)
        most = canvas.MOST_TINT / 255.0
        shift = mean + canvas.TONE_SHARE * brighter + tint.clamp(-most, most)
        return (x - mean) * gain.clamp(canvas.LEAST_GAIN, canvas.MOST_GAIN) + shift

    def told(self) -> canvas.Tone:
        """As workers know it: BGR of 255."""
        blue, green, red = (255.0 * self.mean.flatten().flip(0)).tolist()
        return canvas.Tone((blue, green, red), 255.0 * self.deviation.item())


def _luma(x: Tensor) -> Tensor:
    weights = torch.tensor(canvas.LUMA_BGR[::-1].copy(), dtype=x.dtype, device=x.device).view(1, 3, 1, 1)
    return (x * weights).sum(1, keepdim=True)
