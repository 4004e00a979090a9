"""What a style does to a whole frame around its network: grain below it, crisp edges and its painting's tone over it.

All are done to the whole frame, so that tiles agree, and look at nothing but the frame, so that workers do. What a
style wants is written into its weights files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from workers import grain

# How far a frame is carried towards the painting's brightness and contrast. Reinhard 2001 goes all the way, colour by
# colour: it bleaches a night, and made a blue sky brown even at half.
TONE_SHARE = 0.5
# Contrast is never changed by more: a foggy morning's noise is not the painting's brushwork.
LEAST_GAIN, MOST_GAIN = 0.6, 1.6
# And no colour moved by more than this beside brightness, of 255.
MOST_TINT = 16.0
# Beyond it the grain would show.
MOST_GRAIN = 32.0
# A bound for damaged files: halos begin at 1, and the painting gets no nearer from a half on.
MOST_SHARPEN = 2.0
# Luma of blue, green and red (BT.601, as OpenCV's grey).
LUMA_BGR = np.array([0.114, 0.587, 0.299])
# Mean and deviation of a large frame are taken from every eighth pixel both ways.
_SAMPLED_PX, _LARGE_PX = 8, 256

#: What `Canvas.written` may write and `Canvas.read` looks for.
WORDS = ("grain", "sharpen", "tone")

Pixels = NDArray[np.uint8]
Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Tone:
    """Mean of a painting's blue, green and red, and the standard deviation of its luma; of 255."""

    mean: Triple
    deviation: float


@dataclass(frozen=True, slots=True)
class Canvas:
    """`grain`: how strong a grain lies over the frame, of 255; 0 is none. `tone`: None leaves it as painted.

    `sharpen`: how much of what a small blur takes away is added (an unsharp mask). The network makes its finest strokes
    at half the frame's size and doubles them smoothly, so its edges are softer than a brush's.
    """

    grain: float = 0.0
    tone: Tone | None = None
    sharpen: float = 0.0

    def prepared(self, pixels: Pixels) -> Pixels:
        """What the network is to see of H×W×3 uint8 BGR `pixels`."""
        return grain.lay(pixels, self.grain) if self.grain else pixels

    def finished(self, painted: Pixels) -> Pixels:
        """H×W×3 uint8 BGR as the network painted it, with crisp edges and in the painting's tone."""
        return self._toned(_sharpened(painted, self.sharpen) if self.sharpen else painted)

    def _toned(self, painted: Pixels) -> Pixels:
        if self.tone is None:
            return painted
        sampled = _sampled(painted)
        deviation = float(cv2.cvtColor(sampled, cv2.COLOR_BGR2GRAY).std())
        mean, wanted = np.array(cv2.mean(sampled)[:3]), np.array(self.tone.mean)
        gain = min(max((self.tone.deviation / max(deviation, 1e-3)) ** TONE_SHARE, LEAST_GAIN), MOST_GAIN)
        brighter = (wanted - mean) @ LUMA_BGR
        tint = np.clip(TONE_SHARE * (wanted - mean - brighter), -MOST_TINT, MOST_TINT)
        shift = mean * (1.0 - gain) + TONE_SHARE * brighter + tint
        # One matrix for all three: 0.2 ms at 640×480 where a table (cv2.LUT) took 1.3.
        return np.asarray(cv2.transform(painted, np.hstack([gain * np.eye(3), shift[:, None]])), np.uint8)

    def written(self) -> dict[str, str]:
        """As words for the metadata of a weights file; `Canvas.read` reads them."""
        words = {"grain": f"{self.grain:.2f}", "sharpen": f"{self.sharpen:.2f}"}
        if self.tone is not None:
            words["tone"] = " ".join(f"{value:.2f}" for value in (*self.tone.mean, self.tone.deviation))
        return words

    @staticmethod
    def read(words: Mapping[str, str]) -> Canvas:
        """Raises ValueError for what `written` does not write; nothing written is a canvas without any."""
        tone = None
        strength, sharpen = float(words.get("grain", "0")), float(words.get("sharpen", "0"))
        if not 0.0 <= strength <= MOST_GRAIN:
            raise ValueError(f"a canvas' grain is a number from 0 to {MOST_GRAIN:g}")
        if not 0.0 <= sharpen <= MOST_SHARPEN:
            raise ValueError(f"a canvas is sharpened by a number from 0 to {MOST_SHARPEN:g}")
        if "tone" in words:
            values = [float(value) for value in words["tone"].split()[:5]]
            # NaN passes neither comparison.
            if len(values) != 4 or not all(0.0 <= value <= 255.0 for value in values):
                raise ValueError("a painting's tone is four numbers from 0 to 255")
            tone = Tone((values[0], values[1], values[2]), values[3])
        return Canvas(strength, tone, sharpen)


def _sharpened(painted: Pixels, share: float) -> Pixels:
    # 5×5 binomial (1 4 6 4 1), which OpenCV takes for this size; 0.65 ms at 640×480. Into the blur's own memory: a
    # frame of 8K is 100 MB.
    soft = cv2.GaussianBlur(painted, (5, 5), 0)
    return np.asarray(cv2.addWeighted(painted, 1.0 + share, soft, -share, 0.0, dst=soft), np.uint8)


def _sampled(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    if min(height, width) < _LARGE_PX:
        return pixels
    size = (width // _SAMPLED_PX, height // _SAMPLED_PX)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST), np.uint8)
