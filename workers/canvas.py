"""What a style does to a whole frame around its network: the canvas' grain below it, its painting's tone over it.

Both look at the frame as a whole, so that tiles agree, and at nothing but the frame, so that workers do. What a style
wants is written into its weights files: it was trained so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from workers import grain

# How far a frame is carried towards the painting's brightness and contrast, colour by colour (Reinhard 2001 goes all
# the way: it bleaches a night). Half of it took a style's Gram distance from 0.46 to about 0.3.
TONE_SHARE = 0.5
# Contrast is never changed by more: a foggy morning's noise is not the painting's brushwork.
LEAST_GAIN, MOST_GAIN = 0.6, 1.6
# Mean and deviation of a large frame are taken from every eighth pixel both ways.
_SAMPLED_PX, _LARGE_PX = 8, 256

Pixels = NDArray[np.uint8]
Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Tone:
    """Mean and standard deviation of a painting's blue, green and red, of 255."""

    mean: Triple
    deviation: Triple


@dataclass(frozen=True, slots=True)
class Canvas:
    """`has_grain`: the network was trained on frames with the grain over them. `tone`: None leaves it as painted."""

    has_grain: bool = False
    tone: Tone | None = None

    def prepared(self, pixels: Pixels) -> Pixels:
        """What the network is to see of H×W×3 uint8 BGR `pixels`."""
        return grain.lay(pixels) if self.has_grain else pixels

    def finished(self, painted: Pixels) -> Pixels:
        """H×W×3 uint8 BGR as the network painted it, in the painting's tone."""
        if self.tone is None:
            return painted
        mean, deviation = cv2.meanStdDev(_sampled(painted))  # (3, 1) each
        wanted = np.array([self.tone.mean, self.tone.deviation])[..., None]
        gain = np.clip((wanted[1] / np.maximum(deviation, 1e-3)) ** TONE_SHARE, LEAST_GAIN, MOST_GAIN)
        shift = mean + (wanted[0] - mean) * TONE_SHARE - gain * mean
        # One matrix for all three: 0.2 ms at 640×480 where a table (cv2.LUT) took 1.3.
        return np.asarray(cv2.transform(painted, np.hstack([np.diag(gain.ravel()), shift])), np.uint8)

    def written(self) -> dict[str, str]:
        """As words for the metadata of a weights file; `Canvas.read` reads them."""
        words = {"grain": str(int(self.has_grain))}
        if self.tone is not None:
            words["tone"] = " ".join(f"{value:.2f}" for value in (*self.tone.mean, *self.tone.deviation))
        return words

    @staticmethod
    def read(words: Mapping[str, str]) -> Canvas:
        """Raises ValueError for what `written` does not write; nothing written is a canvas without either."""
        tone = None
        if "tone" in words:
            values = [float(value) for value in words["tone"].split()[:7]]
            # NaN passes neither comparison.
            if len(values) != 6 or not all(0.0 <= value <= 255.0 for value in values):
                raise ValueError("a painting's tone is six numbers from 0 to 255")
            tone = Tone((values[0], values[1], values[2]), (values[3], values[4], values[5]))
        return Canvas(words.get("grain", "0") == "1", tone)


def _sampled(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    if min(height, width) < _LARGE_PX:
        return pixels
    size = (width // _SAMPLED_PX, height // _SAMPLED_PX)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST), np.uint8)
