"""Small known movements of a picture: what a hand-held camera does between two frames, with the exact flow at hand.

Half of them are whole-pixel shifts (no resampling, so sharpness is not punished), half also zoom a little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# Largest shift. Odd and even ones both matter: the network's own grid is 8 px.
_SHIFT_PX = 12
_ZOOM = 0.04
_NOISE = 0.03


@dataclass(frozen=True, slots=True)
class Shake:
    """One movement: shift in pixels (down, right), zoom factor, standard deviation of the noise."""

    down_px: int
    right_px: int
    zoom: float
    noise: float

    @staticmethod
    def draw(rng: np.random.Generator) -> Shake:
        """Draw one; every other keeps its scale."""
        down, right = (int(value) for value in rng.integers(-_SHIFT_PX, _SHIFT_PX + 1, size=2))
        zoom = 1.0 + float(rng.uniform(-_ZOOM, _ZOOM)) if rng.random() < 0.5 else 1.0
        return Shake(down, right, zoom, float(rng.uniform(0.0, _NOISE)))

    def move(self, x: Tensor) -> Tensor:
        """N x C x H x W moved; what enters from outside is mirrored (compare only inside `margin_px`)."""
        x = torch.roll(x, (self.down_px, self.right_px), (2, 3))
        if self.zoom == 1.0:
            return x
        theta = torch.tensor([[[1 / self.zoom, 0.0, 0.0], [0.0, 1 / self.zoom, 0.0]]], dtype=x.dtype, device=x.device)
        grid = F.affine_grid(theta.expand(x.shape[0], 2, 3), list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, mode="bicubic", padding_mode="reflection", align_corners=False)

    @property
    def margin_px(self) -> int:
        """Border in which the moved picture holds what was not in the frame."""
        return _SHIFT_PX + 8
