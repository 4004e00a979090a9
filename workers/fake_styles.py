"""Styles without a network for tests and benchmarks: served only where `PAINTER_TEST_STYLES=1`, never listed.

test-identity              the source, decoded and encoded again
test-bytes                 the source's bytes, undecoded
test-sleep-<ms>            the source, after a sleep that frees the GIL and holds the slot as a card would
test-slow-<seq>-<ms>       the same sleep at one frame only
test-raise[-once]-<seq>    raises at this frame (`once`: at its first attempt only)
test-hang[-once]-<seq>     never returns from this frame
test-oom-<pixels>          the source, with memory for so many pixels at once
"""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import StyleError
from pipeline.protocol.frame import EncodedFrame
from pipeline.protocol.wire import Ticket
from workers.engine import Engine, memory_errors
from workers.painter import EnginePainter, Painter, Painting
from workers.processing import Processing

PREFIX = "test-"
_FAULT = re.compile(r"test-(?P<kind>raise|hang)(?P<once>-once)?-(?P<seq>\d+)|test-slow-(?P<slow>\d+)-(?P<ms>\d+)")
_SLEEP = re.compile(r"test-sleep-(\d+)")
_OOM = re.compile(r"test-oom-(\d+)")


class SleepingEngine:
    """Returns its input after `sleep_s`, one picture at a time, as one card would."""

    multiple = 1
    overlap_px = 0
    processing = Processing()
    bytes_per_px = 3

    def __init__(self, sleep_s: float = 0.0) -> None:
        self._sleep_s = sleep_s
        self._card = threading.Lock()

    def paint(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a copy of `pixels`."""
        with self._card:
            time.sleep(self._sleep_s)
        return pixels.copy()


class ShortEngine(SleepingEngine):
    """Returns its input, and has no memory for more than `pixels` of it."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self._pixels = pixels

    def paint(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a copy of `pixels`, or say what CUDA says."""
        with memory_errors():
            if pixels.shape[0] * pixels.shape[1] > self._pixels:
                raise RuntimeError("CUDA out of memory. Tried to allocate more than there is")
        return super().paint(pixels)


@dataclass(frozen=True, slots=True)
class BytesPainter:
    """Hands back what came in: what is left is the cost of everything around the painting."""

    def paint(self, frame: EncodedFrame, ticket: Ticket, progress: Callable[[], None]) -> Painting:
        """Return `frame` itself."""
        return Painting(frame)


@dataclass(frozen=True, slots=True)
class FaultyPainter:
    """Does `fault` before it paints frame `seq` (only at the first attempt if `once`)."""

    inner: Painter
    seq: int
    once: bool
    fault: Callable[[], None]

    def paint(self, frame: EncodedFrame, ticket: Ticket, progress: Callable[[], None]) -> Painting:
        """Paint with the inner painter, or fail as told."""
        if frame.seq == self.seq and (ticket.attempt == 1 or not self.once):
            self.fault()
        return self.inner.paint(frame, ticket, progress)


def load_standin(name: str, *, jpeg_quality: int) -> Painter:
    """Return the painter of a test style. Raises `StyleError` for a name that is none."""
    if name == "test-bytes":
        return BytesPainter()
    if found := _SLEEP.fullmatch(name):
        return _painter(SleepingEngine(int(found[1]) / 1e3), jpeg_quality)
    if found := _OOM.fullmatch(name):
        return _painter(ShortEngine(int(found[1])), jpeg_quality)
    plain = _painter(SleepingEngine(), jpeg_quality)
    if name == "test-identity":
        return plain
    if found := _FAULT.fullmatch(name):
        return _faulty(plain, found)
    raise StyleError(f"no test style {name!r}; see workers/fake_styles.py")


def _faulty(inner: Painter, found: re.Match[str]) -> Painter:
    if found["slow"]:
        sleep_s = int(found["ms"]) / 1e3
        return FaultyPainter(inner, int(found["slow"]), once=False, fault=lambda: time.sleep(sleep_s))
    fault = _raise if found["kind"] == "raise" else _hang
    return FaultyPainter(inner, int(found["seq"]), once=bool(found["once"]), fault=fault)


def _painter(engine: Engine, jpeg_quality: int) -> EnginePainter:
    return EnginePainter(engine, tile_mb=1 << 20, jpeg_quality=jpeg_quality)


def _raise() -> None:
    raise RuntimeError("this test style fails here")


def _hang() -> None:
    threading.Event().wait()
