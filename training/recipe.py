"""How a style is trained, as one value: it goes into the checkpoint and onto the card, so a run can be repeated."""

from __future__ import annotations

from dataclasses import dataclass

from workers.network import Widths


@dataclass(frozen=True, slots=True)
class Recipe:
    """Weights are relative to content = 1. Sizes in pixels."""

    style: float = 12.0
    # How much the style counts at half the size, beside 1 at the full: what is seen from a chair.
    coarse: float = 0.7
    content: float = 2.5
    # What content counts once the norms are frozen, which takes strokes away; 0: as before. Low, it puts level strokes
    # right and brings colour back (style distance 0.26 to 0.23), but blots into the flat areas of calmer paintings.
    frozen_content: float = 0.0
    variation: float = 0.02
    # Small hatch in flat areas. Off makes skies busier (swirls survive any value: they are larger than the blur).
    quiet: float = 1000.0
    # Small marks of the photo stay as dark or light as they are: the content layer tells shapes, and lets a style draw
    # rings for eyes. 800 brings dots back where eyes were, 3000 eyes.
    detail: float = 3000.0
    # Dots and beads that sit on the network's grid.
    lattice: float = 3000.0
    # No lines along the edges.
    frame: float = 0.0
    # Output must follow shift, zoom and noise of the input.
    stability: float = 40.0
    overshoot: float = 10.0
    # Areas keep the colour that the palette gives them: at 10 to 80 blots of another colour stayed. Areas of 8 px, the
    # width of a stroke, keep flat skies without strokes; of 32 px, from the first step on, the scene goes under.
    palette: float = 200.0
    palette_px: int = 8
    # How much more than their area the painting's strong colours count; for pictures that are mostly paper.
    vivid: float = 0.0
    crop_px: int = 192
    batch: int = 2
    # Short side of the painting while its Grams are taken: larger makes larger strokes. 0: as it is.
    painting_px: int = 0
    learning_rate: float = 2e-3
    final_learning_rate: float = 2e-4
    # Iterations of learning the palette alone first: seconds, and no black output (see docs/training.md).
    warm_up: int = 400
    # Share of the iterations after which the norms' statistics are frozen, so that training sees what painting does.
    freeze_at: float = 0.7
    # Crops drawn for a run; each is remembered with what the backbone sees in it (1.6 MB each, 1.3 GB in all), which
    # saves a third of an iteration.
    crops: int = 800
    # A faint fixed pattern below the picture, along which strokes are drawn where the photo is flat (workers/grain.py);
    # for finishing a style that is good already. 8 lets the network find it among a photo's noise. 0: none.
    grain: float = 0.0
    # And while it paints: at 8 large skies are covered in blots, at 4 they have strokes.
    painted_grain: float = 0.0
    # Half the way to the painting's brightness and contrast, frame by frame (workers/canvas.py).
    tone: bool = True
    # How much of its finest detail a painting gets on top while it trains, for finishing a style that is good already.
    # From the first step on the network gives less by itself and nothing is gained (Kandinsky, 20 minutes: style 0.338,
    # content 1.02; with `painted_sharpen` alone 0.304 and 1.05; with neither 0.335 and 0.98).
    sharpen: float = 0.0
    # And while it paints: edges as crisp as a brush's (workers/canvas.py).
    painted_sharpen: float = 0.5
    # Share of the weights a run began with that stays in its end (WiSE-FT, Wortsman et al. 2022). Of wave's sharp
    # finishing, which swallowed eyes, 0.35 kept two thirds of the gain in style (0.377 to 0.306, so 0.329) and a
    # third of the loss in content (1.60 to 1.91, so 1.71).
    kept: float = 0.0
    seed: int = 1
    # Name of the style whose weights the run began with; empty for a run from nothing.
    start: str = ""
    widths: Widths = Widths()

    def content_weight(self, *, is_frozen: bool) -> float:
        """What content counts before and after the norms are frozen."""
        return self.frozen_content if is_frozen and self.frozen_content else self.content

    def learning_rate_at(self, progress: float) -> float:
        """Held for a third, then geometric from the first rate to the last; progress from 0 to 1."""
        share = min(1.0, max(0.0, (progress - 1 / 3) * 1.5))
        return float(self.learning_rate ** (1.0 - share) * self.final_learning_rate**share)
