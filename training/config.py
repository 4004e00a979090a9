"""How a style is trained, as one value. It goes into the checkpoint and onto the card, so a run can be repeated."""

from __future__ import annotations

from dataclasses import dataclass

from workers.network import Widths


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """One recipe for every style; sizes in pixels. The loss weights multiply relative distances."""

    style: float = 10.0  # Gram matrices over four octaves, against the painting
    content: float = 2.0  # VGG features against the simplified scene
    colour: float = 150.0  # mean colours of 48 px and 16 px areas, against the simplified scene
    calm: float = 0.0  # flat areas of the scene stay flat, as in prints
    face: float = 1500.0  # eyes and mouths, where the scenes have face boxes
    steadiness: float = 25.0  # same strokes after a shift, a zoom or noise of the input
    lattice: float = 1500.0  # no pattern on the network's 8 px grid
    painting_px: int = 750  # short side of the painting while its Grams are taken: larger makes larger strokes
    crop_px: int = 384  # most of a scene, so that no crop of sky is asked for the whole painting
    learning_rate: float = 1e-3  # held for a third of the run, then falls tenfold
    contrast: float = 0.6  # tone curve before the network (workers/processing.py)
    sharpen: float = 0.45  # unsharp mask after it
    seed: int = 1
    parent: str = ""  # style whose weights the run began with; empty for a run from nothing
    widths: Widths = Widths()

    def learning_rate_at(self, progress: float) -> float:
        """Return the rate at `progress` (0 to 1)."""
        share = min(1.0, max(0.0, (progress - 1 / 3) * 1.5))
        return float(self.learning_rate * 0.1**share)
