"""One frame's way through a style: decode, stylize, encode, each timed. `service.py` brings the frames.

A `Painter` serves several threads: while one frame holds the network, its neighbours are decoded and encoded.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from pipeline.codec import decode, encode_pixels
from pipeline.frame import EncodedFrame
from pipeline.wire import Ticket
from workers.engine import Engine
from workers.stylize import stylize

_MIB = 1 << 20


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
        """Paint `frame`; raises `WireError` for a picture that does not decode."""
        started = time.perf_counter()
        pixels = decode(frame)
        progress()
        decoded = time.perf_counter()
        painted = stylize(self._engine, pixels, ticket.look, tile_pixels=self._tile_pixels, progress=progress)
        stylized = time.perf_counter()
        data = encode_pixels(painted, frame.codec, quality=self._quality)
        encoded = time.perf_counter()
        return Painting(
            replace(frame, data=data),
            decode_ms=(decoded - started) * 1e3,
            paint_ms=(stylized - decoded) * 1e3,
            encode_ms=(encoded - stylized) * 1e3,
        )
