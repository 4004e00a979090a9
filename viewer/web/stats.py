"""How fast and how late: rates and delays of each stream, by stage, and who paints. Pure: the caller passes the time.

A picture's delay, glass to glass, is measured on the page's clock, its inside on ours; clocks are never compared:

    capture   camera → page server    delay − (drawn − arrived)
    wait      for a place             what the others leave of (sent to the page − arrived)
    queue     sent → claimed          the server's clock
    decode, paint, encode             the worker's clock
    return    page server → drawn     drawn − sent to the page
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TypedDict

from fleet.stats import Snapshot, StreamRates
from pipeline.flow.metrics import Percentiles
from pipeline.protocol.records import StreamRecord
from pipeline.protocol.wire import Stages

# Ten seconds at 24 FPS: the numbers follow what happens now.
_KEPT = 240
_MEASURED = ("delay", "capture", "wait", "queue", "decode", "paint", "encode", "return")


class Spread(TypedDict):
    """What is told of a duration, ms."""

    p50: float
    p95: float


class Times:
    """The durations of one stream's latest pictures."""

    def __init__(self) -> None:
        self._kept = {name: Percentiles(_KEPT) for name in _MEASURED}

    def note(self, name: str, duration_ms: float) -> None:
        """Note one duration; a negative one is a clock's rounding."""
        self._kept[name].add(max(0.0, duration_ms))

    def report(self) -> dict[str, Spread]:
        """Return p50 and p95 of what was measured."""
        return {
            name: {"p50": round(p50, 1), "p95": round(p95, 1)}
            for name, kept in self._kept.items()
            if (p50 := kept.at(50)) is not None and (p95 := kept.at(95)) is not None
        }


@dataclass(slots=True)
class _Stream:
    times: Times = field(default_factory=Times)
    # Pages' own losses. Late: sent too slowly for newer ones to wait. Skipped: came after their gap was given up.
    late: int = 0
    skipped: int = 0


class StreamStats:
    """All that is known of streams and workers; what is gone from the server is forgotten here."""

    def __init__(self) -> None:
        #: The newest snapshot, an empty one while the server does not answer.
        self.now = Snapshot(0)
        self.is_connected = True
        self._rates = StreamRates()
        self._streams: dict[str, _Stream] = {}

    def update(self, snapshot: Snapshot | None) -> None:
        """Take in a snapshot; None: the server did not answer."""
        self.is_connected = snapshot is not None
        if snapshot is None:
            self.now = Snapshot(self.now.at_ms)
            return
        self.now = snapshot
        self._rates.update(snapshot)
        for gone in self._streams.keys() - {card.name for card in snapshot.streams}:
            del self._streams[gone]

    def note_shown(self, stream: str, stages: Stages) -> None:
        """Note a picture on its way to a page."""
        times = self._stream(stream).times
        if stages.sent_ms and stages.claimed_ms:
            times.note("queue", stages.claimed_ms - stages.sent_ms)
        times.note("decode", stages.decode_ms)
        times.note("paint", stages.paint_ms)
        times.note("encode", stages.encode_ms)

    def note_drawn(self, stream: str, durations_ms: Mapping[str, float]) -> None:
        """Note what only a drawn picture tells: delay, capture, wait, return."""
        times = self._stream(stream).times
        for name, duration_ms in durations_ms.items():
            times.note(name, duration_ms)

    def note_lost(self, stream: str, *, late: int, skipped: int) -> None:
        """Count pictures a page did not get: replaced by newer ones before it could take them, or come too late."""
        self._stream(stream).late += late
        self._stream(stream).skipped += skipped

    def fps_of(self, stream: str) -> float:
        """Return painted frames a second, as `painter status` has them."""
        return round(self._rates.painted(stream), 1)

    def late_of(self, stream: str) -> int:
        """Return the pages' late pictures of a stream."""
        return self._stream(stream).late

    def skipped_of(self, stream: str) -> int:
        """Return the pages' skipped pictures of a stream."""
        return self._stream(stream).skipped

    def times_of(self, stream: str) -> dict[str, Spread]:
        """Return the stream's durations."""
        return self._stream(stream).times.report()

    def report(self) -> dict[str, object]:
        """Return everything as `/api/stats` and the page show it."""
        return {
            "connected": self.is_connected,
            "streams": [self._stream_report(card) for card in self.now.streams],
            "workers": [
                {**asdict(beat), "fps": round(beat.fps, 1), "busy": round(beat.busy, 2)} for beat in self.now.workers
            ],
        }

    def _stream_report(self, card: StreamRecord) -> dict[str, object]:
        return {
            "stream": card.name, "style": card.style, "fps": self.fps_of(card.name),
            "captured": card.captured, "dropped": card.dropped, "painted": card.painted, "failed": card.failed,
            "in_flight": card.in_flight, "late": self.late_of(card.name), "skipped": self.skipped_of(card.name),
            "drops": dict(card.drops), "failures": dict(card.failures), "ms": self.times_of(card.name),
        }  # fmt: skip

    def _stream(self, name: str) -> _Stream:
        return self._streams.setdefault(name, _Stream())


def work_ms(stages: Stages) -> float:
    """Return how long a picture kept its worker."""
    return stages.decode_ms + stages.paint_ms + stages.encode_ms


class Arrivals:
    """When a page's latest camera pictures came, by their capture time; the oldest are forgotten."""

    def __init__(self, kept: int = 256) -> None:
        self._kept, self._at_s = kept, OrderedDict[int, float]()

    def note(self, captured_ms: int, now_s: float) -> None:
        """Note that a picture came."""
        self._at_s[captured_ms] = now_s
        if len(self._at_s) > self._kept:
            self._at_s.popitem(last=False)

    def of(self, captured_ms: int) -> float | None:
        """Return when a picture came, None for one forgotten."""
        return self._at_s.get(captured_ms)
