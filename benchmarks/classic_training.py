"""The 1.68 M parameter network trained on the same painting, with the same losses, for the same time: is ours as good?

`python -m benchmarks.classic_training wave --minutes 20` leaves `var/training/classic-wave.pth`, which
`benchmarks.styles` then measures beside ours and `painter paint --style` loads.
"""

from __future__ import annotations

import argparse
import logging
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from training.backbone import load_backbone
from training.photos import PhotoSet, list_photos
from training.recipe import Recipe
from training.run import Run
from training.shipped import SHIPPED
from training.train import MATERIALS, OUT, read_painting
from workers.classic_network import TransformerNet

log = logging.getLogger(__name__)


class Scaled(nn.Module):
    """The classic network on RGB 0..1, as ours has it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = TransformerNet()

    def forward(self, x: Tensor) -> Tensor:
        painted: Tensor = self.inner(x * 255.0) / 255.0
        return painted

    def level_subpixels(self) -> None:
        """There are none: its last layer paints at full size."""


class ClassicRun(Run):
    """A run of the classic network; the rest is `Run`'s."""

    def _fresh_network(self) -> nn.Module:  # type: ignore[override]
        return Scaled()


def classic_weights(style: str, out: Path = OUT) -> Path:
    """Where the classic network of a style lies."""
    return out / f"classic-{style}.pth"


def train_classic(style: str, *, minutes: float, materials: Path = MATERIALS, out: Path = OUT) -> Path:
    """Train for `minutes` and return the checkpoint."""
    shipped = SHIPPED[style]
    painting = read_painting(materials / "paintings" / shipped.file, short_side_px=shipped.recipe.painting_px)
    photos = PhotoSet(list_photos(materials / "photos" / "train"))
    run = ClassicRun(_classic(shipped.recipe), painting, photos, load_backbone(materials / "vgg16.safetensors"))
    started = time.monotonic()
    run.warm_up()
    run.step()
    while (spent_s := time.monotonic() - started) < minutes * 60.0:
        # The rate follows the schedule of a run that ends in time.
        run.iterations = max(run.iteration + 1, round(run.iteration * minutes * 60.0 / spent_s))
        terms = run.step()
        if run.iteration % 50 == 0:
            log.info("%d/%d style %.3f content %.3f", run.iteration, run.iterations, terms.style, terms.content)
    out.mkdir(parents=True, exist_ok=True)
    state = {key.removeprefix("inner."): value for key, value in run.network.state_dict().items()}
    torch.save(state, classic_weights(style, out))
    log.info("%d iterations in %.1f minutes", run.iteration, (time.monotonic() - started) / 60.0)
    return classic_weights(style, out)


def _classic(recipe: Recipe) -> Recipe:
    """The recipe as that network can follow it, at the rate pytorch/examples trains it with."""
    # Its files have no place for a canvas or for frozen statistics: it is painted as it comes out, with the statistics
    # of the frame, so that is what the losses are to see.
    return replace(
        recipe,
        tone=False,
        grain=0.0,
        sharpen=0.0,
        freeze_at=2.0,
        frozen_content=0.0,
        learning_rate=1e-3,
        final_learning_rate=1e-4,
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("style", choices=SHIPPED)
    parser.add_argument("--minutes", type=float, default=20.0)
    given = parser.parse_args()
    train_classic(given.style, minutes=given.minutes)
