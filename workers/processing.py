"""Whole-frame processing around a style's network: a tone curve before it, an unsharp mask after it.

Both work on the whole frame, so tiles match, and on that frame only, so workers match. The amounts are stored in the
style's weights files. Training applies the same tone curve to its photos (`training/scenes.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# Slopes of the tone curve: below the lower one flat areas lose their shading, above the upper one noise and the blocks
# of a compressed film become marks.
_LEAST_SLOPE, _MOST_SLOPE = 0.35, 2.2
# Standard deviation of the blur over the histogram, in levels: neighbouring frames of a film get nearly equal curves.
_HISTOGRAM_BLUR = 8.0
# The histogram of a large frame is taken from every fourth pixel both ways.
_SAMPLED_PX, _LARGE_PX = 4, 256
# A bound for damaged files: halos begin at 1.
MOST_SHARPEN = 2.0

#: What `Processing.metadata` may write and `Processing.read` looks for.
KEYS = ("contrast", "sharpen")

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Processing:
    """`contrast`: 0 leaves a frame as it is, 1 equalises its histogram as far as the slopes of the curve allow.

    `sharpen`: share of an unsharp mask added to the painting. The network draws its finest strokes at half the frame's
    size and doubles them smoothly, so its edges are softer than a brush's.
    """

    contrast: float = 0.0
    sharpen: float = 0.0

    def before(self, pixels: Pixels) -> Pixels:
        """Return what the network gets for H×W×3 uint8 BGR `pixels`."""
        if not self.contrast:
            return pixels
        return np.asarray(cv2.LUT(pixels, tone_curve(pixels, self.contrast)), np.uint8)

    def after(self, painted: Pixels) -> Pixels:
        """Return the network's H×W×3 uint8 BGR output with crisp edges."""
        return _sharpened(painted, self.sharpen) if self.sharpen else painted

    def mixed(self, other: Processing, share: float) -> Processing:
        """Return the values that lie between, `share` of the way to the other's."""
        values = (own + share * (theirs - own) for own, theirs in zip(astuple(self), astuple(other), strict=True))
        return Processing(*values)

    def metadata(self) -> dict[str, str]:
        """Return the values as strings for a weights file; `read` is the inverse."""
        return {"contrast": f"{self.contrast:.2f}", "sharpen": f"{self.sharpen:.2f}"}

    @staticmethod
    def read(metadata: Mapping[str, str]) -> Processing:
        """Read what `metadata` wrote; missing keys are 0. Raises ValueError for values out of range."""
        contrast, sharpen = (float(metadata.get(key, "0")) for key in KEYS)
        # NaN passes neither comparison.
        if not 0.0 <= contrast <= 1.0:
            raise ValueError("contrast is a number from 0 to 1")
        if not 0.0 <= sharpen <= MOST_SHARPEN:
            raise ValueError(f"sharpen is a number from 0 to {MOST_SHARPEN:g}")
        return Processing(contrast, sharpen)


def tone_curve(pixels: Pixels, contrast: float) -> NDArray[np.uint8]:
    """Return the 256 output levels for H×W×3 uint8 BGR `pixels`: part identity, part histogram equalisation.

    Level 0 maps to 0, so black stays black; the curve rises monotonically to 255.
    """
    luma = cv2.cvtColor(_sampled(pixels), cv2.COLOR_BGR2GRAY)
    histogram = cv2.calcHist([luma], [0], None, [256], [0, 256]).reshape(1, 256)
    density = cv2.GaussianBlur(histogram, (0, 0), _HISTOGRAM_BLUR, borderType=cv2.BORDER_REFLECT)[0]
    density /= density.sum()
    slopes = np.clip(1.0 - contrast + contrast * 256.0 * density, _LEAST_SLOPE, _MOST_SLOPE)
    levels = np.concatenate([[0.0], np.cumsum(slopes[:-1])])
    return np.asarray(np.round(levels * (255.0 / levels[-1])), np.uint8)


def _sharpened(painted: Pixels, share: float) -> Pixels:
    # 5×5 binomial (1 4 6 4 1), which OpenCV takes for this size; 0.65 ms at 640×480. Into the blur's own memory: a
    # frame of 8K is 100 MB.
    soft = cv2.GaussianBlur(painted, (5, 5), 0)
    return np.asarray(cv2.addWeighted(painted, 1.0 + share, soft, -share, 0.0, dst=soft), np.uint8)


def _sampled(pixels: Pixels) -> Pixels:
    if min(pixels.shape[:2]) < _LARGE_PX:
        return pixels
    return np.ascontiguousarray(pixels[::_SAMPLED_PX, ::_SAMPLED_PX])
