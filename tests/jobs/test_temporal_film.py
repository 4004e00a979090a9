"""A film's paintings held together, whether it is painted in one go or goes on where it was stopped."""

import numpy as np
from numpy.typing import NDArray

from jobs.temporal import WARM_UP_FRAMES, TemporalSmoother
from pipeline.protocol.frame import Frame
from tests.media import rms, texture

FIRST, LAST = 20, 24


def held(start: int) -> dict[int, NDArray[np.uint8]]:
    """Return what comes of the frames from `start` on; each is painted in other strokes."""
    wide = texture(192, 320, contrast=20)
    smoother, found = TemporalSmoother(), {}
    for seq in range(start, LAST):
        source = wide[:, 2 * seq : 2 * seq + 256]
        smoother.add(Frame(seq, seq, source))
        painted = np.clip(source + np.random.default_rng(seq).normal(0, 20, (192, 256, 1)), 0, 255).astype(np.uint8)
        found[seq] = smoother.smooth(seq, painted)
    return found


def test_a_film_that_goes_on_hardly_jumps() -> None:
    through, resumed, anew = held(0), held(FIRST - WARM_UP_FRAMES), held(FIRST)
    assert rms(resumed[FIRST], through[FIRST]) < 0.3 * rms(anew[FIRST], through[FIRST])


def test_paintings_come_while_later_frames_are_read() -> None:
    pixels = texture(96, 128)
    smoother = TemporalSmoother()
    for seq in range(3):
        smoother.add(Frame(seq, seq, pixels))
    for seq in range(3):
        assert smoother.smooth(seq, pixels).shape == pixels.shape
