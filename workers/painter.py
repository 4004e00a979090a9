"""One frame's way through a style: decode, stylize, encode, each timed. `service.py` brings the frames.

A `Painter` serves several threads: while one frame holds the network, its neighbours are decoded and encoded.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.codec import decode, encode_pixels
from pipeline.frame import EncodedFrame
from pipeline.wire import Ticket
from workers.engine import Engine
from workers.stylize import stylize

log = logging.getLogger(__name__)

_MIB = 1 << 20
# Where this does not fit into memory either, smaller would not help.
_SMALLEST_TILE_PIXELS = 4096


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


class EnginePainter:
    """Paints with an engine, tiled to stay within `tile_mb`, and encodes with the codec the frame came in."""

    def __init__(self, engine: Engine, *, tile_mb: int, jpeg_quality: int) -> None:
        self._engine = engine
        self._tile_pixels = tile_mb * _MIB // engine.bytes_per_px
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
        """Paint in tiles that fit; those that turn out not to are halved, and stay so for the frames to come."""
        while True:
            tile_pixels = self._tile_pixels
            try:
                return stylize(self._engine, pixels, ticket.look, tile_pixels=tile_pixels, progress=progress)
            except MemoryError as error:
                smaller = min(tile_pixels, pixels.shape[0] * pixels.shape[1]) // 2
                if smaller < _SMALLEST_TILE_PIXELS:
                    raise
                log.warning(
                    "stream=%s seq=%d memory is short (%s); tiles of %d pixels from now on",
                    ticket.stream, ticket.seq, error, smaller,
                )  # fmt: skip
                self._tile_pixels = min(self._tile_pixels, smaller)
