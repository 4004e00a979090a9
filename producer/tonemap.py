"""HDR to SDR: pictures filmed in PQ or HLG, BT.2020, as 8-bit BT.709 that players and painters know.

Each picture by itself, so that frame `n` is the same wherever reading began. Transfer functions: ITU-R BT.2100-2,
tables 4 and 5; reference white at 203 cd/m²: BT.2408; primaries: BT.2087-0; the knee: the EETF of BT.2390-10, section
5.4.1, on the brightest of the three colours, which keeps hues.
"""

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
# Linear BT.2020 → BT.709, rows R, G, B (BT.2087-0, annex 2, the inverse of its table).
_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)  # fmt: skip


def is_hdr(transfer: int | None) -> bool:
    """Whether a video of this transfer function needs `to_sdr`."""
    return transfer in (PQ, HLG)


def to_sdr(pixels: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """Return H×W×3 uint8 BGR of H×W×3 uint16 BGR (full range, BT.2020) in `transfer`; 1 is reference white inside."""
    light = _linear(transfer)[pixels]  # (H, W, 3) float32
    if transfer == HLG:
        # The system gamma of a display of 1000 cd/m² works on luminance, not on each colour.
        luma = cv2.transform(light, np.array([[0.0593, 0.6780, 0.2627]], np.float32))  # (H, W)
        light *= (cv2.pow(luma, 0.2) * np.float32(_PEAK / _WHITE))[..., None]
    light = np.asarray(cv2.transform(light, _TO_709[::-1, ::-1].copy()), np.float32)
    brightest = cv2.max(cv2.max(light[..., 0], light[..., 1]), light[..., 2])
    light *= _gains()[_step(brightest, _PEAK / _WHITE)][..., None]
    return np.asarray(_encoded()[_step(light, 1.0)], np.uint8)


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
def _linear(transfer: int) -> NDArray[np.float32]:
    """Return the light of each of 65536 values: PQ's of the display (1: reference white), HLG's of the scene (0–1)."""
    values = np.linspace(0.0, 1.0, 65536)
    if transfer == PQ:
        return (_pq_to_nits(values) / _WHITE).astype(np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.asarray(np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12), np.float32)


@lru_cache(maxsize=1)
def _encoded() -> NDArray[np.uint8]:
    light = (np.arange(_STEPS + 1) / _STEPS) ** 2
    curve = np.where(light < 0.018, 4.5 * light, 1.099 * np.power(light, 0.45) - 0.099)
    return np.asarray(np.rint(curve * 255), np.uint8)
