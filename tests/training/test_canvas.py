"""Training sees the canvas that workers paint on: the same grain, edges and tone, as tensors."""

import numpy as np
import torch

from training.canvas import Grain, Tone, sharpened
from workers import canvas, grain

Pixels = np.ndarray


def _tensor(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255.0


def _pixels(x: torch.Tensor) -> Pixels:
    return (x[0].clamp(0, 1) * 255.0).permute(1, 2, 0).numpy()[..., ::-1]


def test_the_grain_of_training_is_that_of_painting() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (96, 640, 3), dtype=np.uint8)
    laid = Grain(torch.device("cpu"))
    mine = _pixels(laid.lay(_tensor(frame), laid.window(96, 640), 8.0))
    assert np.abs(mine - grain.lay(frame, 8.0)).max() <= 0.51  # rounded there


def test_the_tone_of_training_is_that_of_painting() -> None:
    rng = np.random.default_rng(2)
    painting = rng.integers(0, 200, (64, 64, 3), dtype=np.uint8)
    frame = np.repeat(np.repeat(rng.integers(60, 160, (16, 16, 3), dtype=np.uint8), 4, 0), 4, 1)
    tone = Tone.of(_tensor(painting))
    mine = _pixels(tone.finished(_tensor(frame)))
    assert np.abs(mine - canvas.Canvas(tone=tone.told()).finished(frame)).max() <= 1.5


def test_edges_are_as_crisp_in_training_as_in_painting() -> None:
    frame = np.random.default_rng(3).integers(60, 190, (40, 56, 3), dtype=np.uint8)
    mine = _pixels(sharpened(_tensor(frame), 0.5))
    assert np.abs(mine - canvas.Canvas(sharpen=0.5).finished(frame)).max() <= 1.0  # rounded twice there


def test_windows_of_the_canvas_are_drawn_by_chance_alone() -> None:
    laid = Grain(torch.device("cpu"))
    first, again = (laid.draw(np.random.default_rng(3), 2, 32) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first[0], first[1])
