"""The whole fleet as numbers: workers, styles and streams, from snapshots of the server. Pure but for taking them.

A stream's rates are its counters' growth over the last 5 s of snapshots, for `painter status` as for the page. The
exporter hands them to Prometheus, and `wanted` is the number an autoscaler goes by.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline.errors import WireError
from pipeline.flow.metrics import CounterRate
from pipeline.flow.worker_health import why_nobody_paints
from pipeline.protocol.frame import Mode
from pipeline.protocol.queues import queue_of, style_of
from pipeline.protocol.records import Heartbeat, StreamRecord
from pipeline.protocol.wire import unpack_stages
from pipeline.server.transport import Transport

# What is left of a file should be painted within this time: a worker is worth starting for minutes, not for seconds.
FILE_WITHIN_S = 60.0
# Below this share a worker's speed says more about what it was given than about what it can do.
_BUSY_ENOUGH = 0.05
# A live stream that gave no sign for this long has ended; the server keeps its facts a while longer.
_LIVE_SIGN_S = 10.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The server at one moment of one clock. `queues`: tickets by queue; `delays_ms`: sent → published, by stream."""

    at_ms: int
    streams: Sequence[StreamRecord] = ()
    workers: Sequence[Heartbeat] = ()
    queues: Mapping[str, int] = field(default_factory=dict)
    delays_ms: Mapping[str, int] = field(default_factory=dict)
    used_bytes: int = 0
    max_bytes: int = 0


@dataclass(frozen=True, slots=True)
class StyleLine:
    """One style: who paints it, what waits for it, how many workers it could use, and why it has none if it should."""

    style: str
    workers: int
    fps: float
    queued: int
    queued_live: int
    wanted: int
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class StreamLine:
    """One stream and its rates. `dropped_fps`: frames its source had to drop a second."""

    card: StreamRecord
    fps: float
    dropped_fps: float
    delay_ms: int | None


@dataclass(frozen=True, slots=True)
class FleetStats:
    """The fleet, of the newest snapshot, with rates over the last ones."""

    workers: Sequence[Heartbeat]
    styles: Sequence[StyleLine]
    streams: Sequence[StreamLine]
    used_bytes: int
    max_bytes: int


def take_snapshot(transport: Transport, styles: Iterable[str] = ()) -> Snapshot:
    """Look at the server; `styles` are asked about even where nobody paints or wants them."""
    seen = take_demand_snapshot(transport, styles)
    used, most = transport.memory()
    lately = [card.name for card in seen.streams if card.mode == Mode.LIVE]
    delays = {name: delay for name in lately if (delay := _delay_ms(transport, name)) is not None}
    return replace(seen, delays_ms=delays, used_bytes=used, max_bytes=most)


def take_demand_snapshot(transport: Transport, styles: Iterable[str] = ()) -> Snapshot:
    """Look at what tells who could use how many workers, and at nothing that a worker's role may not see."""
    streams, workers = transport.streams(), transport.workers()
    names = sorted({*styles, *(card.style for card in streams), *(beat.style for beat in workers)} - {""})
    queues = [queue_of(name, live=live) for name in names for live in (False, True)]
    return Snapshot(transport.now_ms(), streams, workers, transport.queue_lengths(queues))


class StreamRates:
    """Painted and dropped frames a second of each stream. Streams that are not in the newest snapshot are forgotten."""

    def __init__(self) -> None:
        self._rates: dict[str, tuple[CounterRate, CounterRate]] = {}

    def update(self, snapshot: Snapshot) -> None:
        """Take in a snapshot, later than the ones before."""
        rates = {card.name: self._rates.get(card.name, (CounterRate(), CounterRate())) for card in snapshot.streams}
        self._rates = rates
        for card in snapshot.streams:
            painted, dropped = rates[card.name]
            painted.add(snapshot.at_ms / 1000, card.painted)
            dropped.add(snapshot.at_ms / 1000, card.dropped)

    def painted(self, stream: str) -> float:
        """Return a stream's painted frames a second, 0 for one that is not there."""
        return self._rates[stream][0].per_s() if stream in self._rates else 0.0

    def dropped(self, stream: str) -> float:
        """Return the frames a second its source had to drop, 0 for one that is not there."""
        return self._rates[stream][1].per_s() if stream in self._rates else 0.0


class FleetTracker:
    """Snapshots in, statistics out. Not shared between threads."""

    def __init__(self) -> None:
        self._rates = StreamRates()

    def update(self, snapshot: Snapshot) -> FleetStats:
        """Return the fleet as of `snapshot`; rates need a second one."""
        self._rates.update(snapshot)
        return _stats(snapshot, self._rates)


def fleet_stats(before: Snapshot, now: Snapshot) -> FleetStats:
    """Return the fleet as it was between two snapshots."""
    tracker = FleetTracker()
    tracker.update(before)
    return tracker.update(now)


def _stats(now: Snapshot, rates: StreamRates) -> FleetStats:
    streams = [
        StreamLine(card, rates.painted(card.name), rates.dropped(card.name), now.delays_ms.get(card.name))
        for card in now.streams
    ]
    names = {name for queue in now.queues if (name := style_of(queue))}
    styles = [_style(name, now, [line for line in streams if line.card.style == name]) for name in sorted(names)]
    workers = sorted(now.workers, key=lambda beat: (beat.host, slot_of(beat)))
    return FleetStats(workers, styles, streams, now.used_bytes, now.max_bytes)


def slot_of(beat: Heartbeat) -> str:
    """Return a worker's slot, out of its name `<style>@<slot>.<host>`."""
    return beat.name.partition("@")[2].partition(".")[0]


def runs_live(card: StreamRecord) -> bool:
    """Whether a stream is a live one whose producer still gives signs of life."""
    return card.mode == Mode.LIVE and card.age_s < _LIVE_SIGN_S


def wanted(workers: Sequence[Heartbeat], streams: Sequence[StreamLine], queued: int) -> int:
    """Return how many workers a style could use: live streams without drops, files done in a minute; idle: none.

    As long as nothing is known of a worker's speed it is one, and one more than there are while live frames drop.
    """
    live = [line for line in streams if runs_live(line.card)]
    files = [line for line in streams if line.card.mode != Mode.LIVE]
    if not live and not files and not queued:
        return 0
    if (speed := _speed(workers)) is None:
        return max(1, len(workers) + any(line.dropped_fps for line in live))
    live_fps = sum(line.fps + line.dropped_fps for line in live)
    left = sum(max(0, line.card.frames - line.card.painted) for line in files)
    return max(1, math.ceil((live_fps + left / FILE_WITHIN_S) / speed))


def _speed(workers: Sequence[Heartbeat]) -> float | None:
    """Return the frames a second of one worker that is kept busy, None while nobody has anything to do."""
    speeds = [beat.fps / beat.busy for beat in workers if beat.busy > _BUSY_ENOUGH and beat.fps > 0]
    return sum(speeds) / len(speeds) if speeds else None


def _style(name: str, now: Snapshot, streams: Sequence[StreamLine]) -> StyleLine:
    workers = [beat for beat in now.workers if beat.style == name]
    queued, queued_live = (now.queues.get(queue_of(name, live=live), 0) for live in (False, True))
    fps = sum(beat.fps for beat in workers)
    count = wanted(workers, streams, queued + queued_live)
    trouble = why_nobody_paints(name, now.workers) if count else ""
    return StyleLine(name, len(workers), fps, queued, queued_live, count, trouble)


def _delay_ms(transport: Transport, stream: str) -> int | None:
    entry = transport.newest(stream)
    if entry is None or not entry.stages:
        return None
    try:
        return entry.published_ms - unpack_stages(entry.stages).sent_ms
    except WireError:
        # A worker of another version; its frames are the viewers' affair.
        return None
