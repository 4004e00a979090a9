"""HDR to SDR: pictures filmed in PQ or HLG, BT.2020, as 8-bit BT.709 that players and painters know.

Each picture by itself, so that frame `n` is the same wherever reading began. Transfer functions: ITU-R BT.2100-2,
tables 4 and 5; reference white at 203 cd/m²: BT.2408; primaries: BT.2087-0; the knee: the EETF of BT.2390-10, section
5.4.1, on the brightest of the three colours, which keeps hues; the light of a display becomes a signal by BT.1886.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.protocol.colour import LIMITED
from pipeline.protocol.frame import ColourTags

#: FFmpeg's `AVCOL_TRC_…`.
PQ, HLG = 16, 18
#: What a tone-mapped video says of itself.
SDR_TAGS = ColourTags(colorspace=1, primaries=1, transfer=1, range=LIMITED)

# cd/m²: the white of a page (BT.2408), and the brightest that is told apart: what most films are mastered for.
_WHITE, _PEAK = 203.0, 1000.0
# Tables are this fine.
_STEPS = 4095
# CIE x, y of red, green and blue by FFmpeg's `AVCOL_PRI_…`: BT.709, BT.2020, and P3 with the same white, D65.
_PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_BT709, _BT2020 = 1, 9
_D65 = (0.3127, 0.3290)
# What BT.709's displays do (BT.1886): light = signal ** 2.4.
_DISPLAY_GAMMA = 2.4
# What swscale makes of white: its matrices end at 255 · 256 and a little, RGB stays as it is.
_YUV_WHITE, _RGB_WHITE = 65283, 65535


@dataclass(frozen=True, slots=True)
class Signal:
    """An HDR signal in 16 bits: FFmpeg's transfer and primaries, and the value that stands for 1."""

    transfer: int
    primaries: int = _BT2020
    white: int = _RGB_WHITE

    @classmethod
    def of(cls, tags: ColourTags, *, is_rgb: bool) -> "Signal":
        """Return the signal of a video with these tags; without primaries HDR is BT.2020."""
        primaries = tags.primaries if tags.primaries in _PRIMARIES else _BT2020
        return cls(tags.transfer or PQ, primaries or _BT2020, _RGB_WHITE if is_rgb else _YUV_WHITE)


def is_hdr(transfer: int | None) -> bool:
    """Whether a video of this transfer function needs `to_sdr`."""
    return transfer in (PQ, HLG)


def to_sdr(pixels: NDArray[np.uint16], signal: Signal) -> NDArray[np.uint8]:
    """Return H×W×3 uint8 BGR of BT.709 for H×W×3 uint16 BGR, full range; inside 1 is reference white."""
    light = _linear(signal.transfer, signal.white)[pixels]  # (H, W, 3) float32
    if signal.transfer == HLG:
        # The system gamma of a display of 1000 cd/m² works on luminance, not on each colour.
        luma = cv2.transform(light, _to_xyz(signal.primaries)[1:2, ::-1].astype(np.float32))  # (H, W)
        light *= (cv2.pow(luma, 0.2) * np.float32(_PEAK / _WHITE))[..., None]
    light = np.asarray(cv2.transform(light, _to_709(signal.primaries)), np.float32)
    brightest = cv2.max(cv2.max(light[..., 0], light[..., 1]), light[..., 2])
    light *= _gains()[_step(brightest, _PEAK / _WHITE)][..., None]
    return np.asarray(_encoded()[_step(light, 1.0)], np.uint8)


@lru_cache
def _to_709(primaries: int) -> NDArray[np.float32]:
    """Return the matrix from linear BGR of these primaries to linear BGR of BT.709 (for BT.2020: BT.2087-0)."""
    matrix = np.linalg.inv(_to_xyz(_BT709)) @ _to_xyz(primaries)
    return np.ascontiguousarray(matrix[::-1, ::-1], np.float32)


@lru_cache
def _to_xyz(primaries: int) -> NDArray[np.float64]:
    """Return the matrix from linear RGB to CIE XYZ (SMPTE RP 177); its second row is luminance."""
    x, y = np.array([*_PRIMARIES[primaries], _D65]).T
    columns = np.stack([x / y, np.ones(4), (1 - x - y) / y])  # (X, Y, Z) × (red, green, blue, white)
    return np.asarray(columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3]))


def _step(light: NDArray[np.float32] | cv2.typing.MatLike, most: float) -> NDArray[np.uint16]:
    """Return the place of 0 … `most` in a table of a square root's even steps, dense where eyes are keen."""
    scaled = np.clip(np.asarray(light, np.float32) * np.float32(1 / most), 0.0, 1.0)
    return np.asarray(np.sqrt(scaled, out=scaled) * np.float32(_STEPS) + np.float32(0.5), np.uint16)


@lru_cache(maxsize=1)
def _gains() -> NDArray[np.float32]:
    """Return by how much each light up to the peak is dimmed."""
    light = np.maximum((np.arange(_STEPS + 1) / _STEPS) ** 2 * (_PEAK / _WHITE), 1e-6)
    return np.asarray(_knee(light) / light, np.float32)


def _knee(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring 0 … peak to 0 … 1, in PQ's even steps; the dark and the middle stay as they are."""
    source_peak = _pq_of(_PEAK)
    peak = _pq_of(_WHITE) / source_peak
    start = 1.5 * peak - 0.5
    x = np.minimum(np.interp(light, *_pq_table()) / source_peak, 1.0)
    t = np.clip((x - start) / (1 - start), 0.0, 1.0)
    curve = (2 * t**3 - 3 * t**2 + 1) * start + (t**3 - 2 * t**2 + t) * (1 - start) + (-2 * t**3 + 3 * t**2) * peak
    mapped = np.where(x < start, x, curve) * source_peak
    positions, values = _pq_table()
    return np.asarray(np.interp(mapped, values, positions))


@lru_cache(maxsize=1)
def _pq_table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return light (1: reference white) and PQ's value for it, both rising."""
    values = np.linspace(0.0, 1.0, 4096)
    return _pq_to_nits(values) / _WHITE, values


def _pq_of(nits: float) -> float:
    return float(np.interp(nits / _WHITE, *_pq_table()))


def _pq_to_nits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = np.power(values, 1 / m2)
    return np.asarray(10000 * np.power(np.maximum(power - c1, 0) / (c2 - c3 * power), 1 / m1))


@lru_cache(maxsize=2)
def _linear(transfer: int, white: int) -> NDArray[np.float32]:
    """Return the light of each of 65536 values: PQ's of the display (1: reference white), HLG's of the scene (0–1)."""
    values = np.minimum(np.arange(65536) / white, 1.0)
    if transfer == PQ:
        return (_pq_to_nits(values) / _WHITE).astype(np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.asarray(np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12), np.float32)


@lru_cache(maxsize=1)
def _encoded() -> NDArray[np.uint8]:
    light = (np.arange(_STEPS + 1) / _STEPS) ** 2
    return np.asarray(np.rint(np.power(light, 1 / _DISPLAY_GAMMA) * 255), np.uint8)
