"""Pictures of one grey, what a capture handed on of them, and the largest that is taken."""

import numpy as np
from numpy.typing import NDArray

from producer.capture import Capture

MAX_PIXELS = 1 << 26
Pixels = NDArray[np.uint8]


def grey(value: int) -> Pixels:
    return np.full((48, 64, 3), value, np.uint8)


class Taken:
    """What a capture handed on."""

    def __init__(self) -> None:
        self.values: list[int] = []
        self.times_ms: list[int] = []

    def __call__(self, pixels: Pixels, captured_ms: int) -> None:
        self.values.append(int(pixels[0, 0, 0]))
        self.times_ms.append(captured_ms)


def run(capture: Capture, taken: Taken) -> None:
    capture.open()
    capture.start(taken)
    assert capture.over.wait(5)
    capture.stop()
