"""What `painter live` does to each picture, and what it knows of its stream: its name, its size, its counters."""

import re
import time
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ServerFull, ServerGone, UsageError
from pipeline.flow.worker_health import why_nobody_paints
from pipeline.protocol.codec import encode
from pipeline.protocol.frame import Codec, EncodedFrame, Frame, Mode
from pipeline.protocol.queues import queue_of
from pipeline.server.transport import Transport
from producer.adapt import PERIOD_S, Pace, Seen, fitted, step
from producer.denoise import TemporalDenoiser
from producer.live import LiveFeed

# bigbuckbunny at 640×360, 2026-11: 63 KB and 37.6 dB a frame, beside 98 KB and 40.9 dB at 95; brush strokes hide the
# difference, and the painting after it is encoded anew.
QUALITY = 88
# A stream's sign of life comes every second; one that missed two is dead.
_DEAD_S = 2.5
_POLL_S = 0.05
# How long the last frames of a file that ends may take.
_DRAIN_S = 1.0
_NAME = re.compile(r"\w[\w.-]{0,99}")


@dataclass(frozen=True, slots=True)
class Counters:
    """A stream's counters since it began. Always: captured = dropped + painted + failed + in_flight."""

    captured: int = 0
    dropped: int = 0
    painted: int = 0
    failed: int = 0

    @property
    def in_flight(self) -> int:
        return self.captured - self.dropped - self.painted - self.failed


@dataclass(frozen=True, slots=True)
class Sizing:
    """How large to paint: within `bounds` (width, height), and small enough for `target_fps`; None: as it comes."""

    bounds: tuple[int, int] | None = None
    target_fps: float | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """One look at a live stream; rates over the time since the last look. `absence`: why nobody paints it."""

    stream: str
    style: str
    size: tuple[int, int]
    absence: str
    fps: float
    counters: Counters


class LiveStream:
    """A feed of pictures, each made smaller and steadied as wished, and its figures. The feed's owner closes it."""

    def __init__(self, feed: LiveFeed, transport: Transport, sizing: Sizing, *, steady: bool = True) -> None:
        self._feed, self._transport, self._sizing = feed, transport, sizing
        self._steady = TemporalDenoiser() if steady else None
        self._pace = Pace()
        self._size = (0, 0)
        self._last, self._last_s = Counters(), time.monotonic()
        self._judged, self._judged_s = Counters(), self._last_s

    def start(self) -> None:
        """Start sending."""
        self._feed.start()

    def take(self, pixels: NDArray[np.uint8], captured_ms: int) -> None:
        """Offer a picture (H×W×3 uint8 BGR); the work is done once it has its place."""
        self._feed.offer(lambda: self._encode(pixels, captured_ms))

    def look_after(self, now_s: float) -> Status:
        """Read the counters, adapt the size when a period is over. Raises `ServerGone`."""
        counters = self._read()
        if now_s - self._judged_s >= PERIOD_S:
            seen = _seen(self._judged, counters, now_s - self._judged_s)
            self._judged, self._judged_s = counters, now_s
            if self._sizing.target_fps is not None:
                self._pace = step(self._pace, seen, self._sizing.target_fps)
        fps = _seen(self._last, counters, now_s - self._last_s).painted_fps
        self._last, self._last_s = counters, now_s
        style = self._feed.style
        absence = why_nobody_paints(style, self._transport.workers())
        return Status(self._feed.stream, style, self._size, absence, fps, counters)

    def drain(self) -> None:
        """Wait a moment for the paintings of the last frames."""
        deadline_s = time.monotonic() + _DRAIN_S
        try:
            while time.monotonic() < deadline_s and self._read().in_flight > 0:
                time.sleep(0.02)
        except (ServerGone, ServerFull):
            return  # nothing more to wait for

    def close(self) -> None:
        """End the stream for everybody."""
        self._feed.close()

    def _encode(self, pixels: NDArray[np.uint8], captured_ms: int) -> EncodedFrame:
        height, width = pixels.shape[:2]
        self._size = size = fitted(width, height, self._sizing.bounds, self._pace.level)
        if size != (width, height):
            pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        # Only pictures that are painted: those dropped in between cost nothing, and a source that is to be seen as it
        # is stays so.
        if self._steady is not None and self._feed.look.strength > 0:
            pixels = self._steady.apply(pixels)
        return encode(Frame(0, captured_ms, pixels), Codec.MJPEG, quality=QUALITY)

    def _read(self) -> Counters:
        facts = self._transport.stream_facts(self._feed.stream)
        return Counters(*(int(facts.get(name, 0)) for name in ("captured", "dropped", "painted", "failed")))


def require_stream_name(name: str) -> None:
    """Raise `UsageError` unless `name` can be a stream's."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"--name {name}: letters, digits, dots, - and _ make a stream's name, 100 at most")


def free_name(transport: Transport, wished: str, default: str) -> str:
    """Return a name nobody uses: the wished one, else the default, numbered if need be. Raises `UsageError`.

    What a producer of that name left when it was killed is removed.
    """
    name = wished or re.sub(r"[^\w.-]+", "-", default).strip("-.")[:90] or "live"
    number = 1
    stem = name
    while not _is_free(transport, name):
        if wished:
            raise UsageError(f"a stream called {name} runs already; choose another --name")
        number += 1
        name = f"{stem}-{number}"
    return name


def _is_free(transport: Transport, name: str) -> bool:
    """Say whether no living stream has the name; a silent one is watched until it gives a sign, or is dead."""
    last_s = 0.0
    while (card := next((card for card in transport.streams() if card.name == name), None)) is not None:
        if card.mode != Mode.LIVE or card.age_s < last_s:
            return False
        if card.age_s > _DEAD_S:
            _clear(transport, name, card.style)
            return True
        last_s = card.age_s
        time.sleep(_POLL_S)
    return True


def _clear(transport: Transport, name: str, style: str) -> None:
    left = list(transport.in_flight(name, queue_of(style, live=True)).scores)
    for seq in left:
        transport.return_place(style, name, seq)
    transport.forget_stream(name, left)


def _seen(before: Counters, now: Counters, seconds: float) -> Seen:
    """Return the rates between two readings; none where the server came back empty in between."""
    if seconds <= 0 or now.painted < before.painted or now.captured < before.captured:
        return Seen(0.0, 0.0)
    return Seen((now.captured - before.captured) / seconds, (now.painted - before.painted) / seconds)
