"""One frame's way through a style: decode, stylize, encode, each timed. `service.py` brings the frames.

A `Painter` serves several threads: while one frame holds the network, its neighbours are decoded and encoded.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.protocol.brush import painting_size
from pipeline.protocol.codec import decode, encode, encode_pixels
from pipeline.protocol.frame import Codec, EncodedFrame, Frame
from pipeline.protocol.wire import Ticket
from workers.engine import Engine
from workers.stylize import stylize, tile_size

log = logging.getLogger(__name__)

_MIB = 1 << 20
# The side of the picture a worker paints to test itself: the smallest that every network takes.
_TEST_PX = 64
# When larger tiles are tried again after a shortage: the neighbour on the card may have left. Each try comes twice as
# long after the one before, since one that fails costs a frame's time.
_FIRST_TRY_S, _LAST_TRY_S = 60.0, 3600.0


@dataclass(frozen=True, slots=True)
class Painting:
    """A painted frame and how long each step took."""

    frame: EncodedFrame
    decode_ms: float = 0.0
    paint_ms: float = 0.0
    encode_ms: float = 0.0


class Painter(Protocol):
    """Turns a checked frame into its painting; raises whatever goes wrong, the caller decides about attempts."""

    def paint(self, frame: EncodedFrame, ticket: Ticket, progress: Callable[[], None]) -> Painting:
        """Paint `frame` as `ticket` asks. Calls `progress` at each sign of life: after decoding, after each tile."""


def self_test(painter: Painter) -> str:
    """Paint a picture of our own, whatever the frames are like. Return why that fails, "" if it does not."""
    side = np.linspace(0, 255, _TEST_PX).astype(np.uint8)
    pixels = np.ascontiguousarray(np.broadcast_to(side[:, None, None], (_TEST_PX, _TEST_PX, 3)))
    frame = encode(Frame(-1, 0, pixels), Codec.RAW)
    try:
        painter.paint(frame, Ticket("", -1, 1), lambda: None)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


class TileLimit:
    """The largest tile there seems to be memory for, never above `most` pixels. Safe between threads."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = self._pixels = most
        self._clock = clock
        self._lock = threading.Lock()
        self._wait_s, self._try_at_s = _FIRST_TRY_S, 0.0

    def pixels(self) -> int:
        """Return it: twice what it was once a shortage lies long enough back."""
        with self._lock:
            now_s = self._clock()
            if self._pixels < self._most and now_s >= self._try_at_s:
                self._pixels = min(2 * self._pixels, self._most)
                self._wait_s = min(2 * self._wait_s, _LAST_TRY_S)
                self._try_at_s = now_s + self._wait_s
                log.info("tiles of %d pixels are tried again", self._pixels)
            return self._pixels

    def lower(self, pixels: int) -> None:
        """Note that memory was short for anything above `pixels`."""
        with self._lock:
            self._pixels = min(self._pixels, pixels)
            self._try_at_s = self._clock() + self._wait_s


class EnginePainter:
    """Paints with an engine, tiled to stay within `tile_mb`, and encodes with the codec the frame came in."""

    def __init__(
        self, engine: Engine, *, tile_mb: int, jpeg_quality: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._limit = TileLimit(tile_mb * _MIB // engine.bytes_per_px, clock)
        self._quality = jpeg_quality

    def paint(self, frame: EncodedFrame, ticket: Ticket, progress: Callable[[], None]) -> Painting:
        """Paint `frame`; raises `WireError` for a picture that does not decode, `MemoryError` where no tile fits."""
        started = time.perf_counter()
        pixels = decode(frame)
        progress()
        decoded = time.perf_counter()
        painted = self._stylize(pixels, ticket, progress)
        stylized = time.perf_counter()
        data = encode_pixels(painted, frame.codec, quality=self._quality)
        encoded = time.perf_counter()
        return Painting(
            replace(frame, data=data),
            decode_ms=(decoded - started) * 1e3,
            paint_ms=(stylized - decoded) * 1e3,
            encode_ms=(encoded - stylized) * 1e3,
        )

    def _stylize(self, pixels: NDArray[np.uint8], ticket: Ticket, progress: Callable[[], None]) -> NDArray[np.uint8]:
        """Paint in tiles that fit: where memory is short they are halved, for the frames to come as well."""
        width, height = painting_size(pixels.shape[1], pixels.shape[0], ticket.look.brush)
        while True:
            limit = self._limit.pixels()
            try:
                return stylize(self._engine, pixels, ticket.look, tile_pixels=limit, progress=progress)
            except MemoryError as error:
                tile = tile_size(self._engine, height, width, limit)
                if tile_size(self._engine, height, width, tile // 2) == tile:
                    raise
                self._limit.lower(tile // 2)
                log.warning(
                    "stream=%s seq=%d memory is short (%s); tiles of %d pixels for now",
                    ticket.stream, ticket.seq, error, tile // 2,
                )  # fmt: skip
