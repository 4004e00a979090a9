"""One reader of live painted streams, many watchers: each has the newest picture, and a slow one slows nobody.

Pictures are handed on as they came off the wire, in order, never decoded. A gap is given up after its deadline. Only
the reader's thread waits for pictures. Always, for each watcher, from the newest picture when it joined on:
painted = shown + late + skipped (+ the one that waits).
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.errors import ServerFull, ServerGone, WireError
from pipeline.flow.reorder import ReorderBuffer
from pipeline.process.shutdown import joined
from pipeline.protocol.frame import EncodedFrame, Mode
from pipeline.protocol.records import Heartbeat, PaintedEntry, StreamRecord
from pipeline.protocol.wire import Limits, Stages, unpack_frame, unpack_stages
from pipeline.server.viewer_transport import COMPARE_MS, ViewerTransport

log = logging.getLogger(__name__)

# Well above the spread of two workers' painting times, well below what a viewer takes for a stall.
_DEADLINE_S = 0.25
# How soon a stop, and the first watcher of one more stream, is noticed.
_BLOCK_MS = 50
_RETRY_S = 0.25
# For a read under way at the end.
_STOP_S = 2.0
# A live stream that gave no sign for this long is not offered any more: its producer gives one every second.
_GONE_S = 5.0
# So far behind, a picture is no late one (those are given up within 4 s) but of a producer that was started again.
_RESTARTED_BY = 500


@dataclass(frozen=True, slots=True)
class Shot:
    """One painted JPEG; `source` is the source's own while somebody compares, else b""."""

    stream: str
    frame: EncodedFrame
    source: bytes
    stages: Stages
    published_ms: int


@dataclass(frozen=True, slots=True)
class WatchCounters:
    """What became of the pictures painted since a watcher joined, and of the newest one then."""

    painted: int
    shown: int
    late: int
    skipped: int


class Watch:
    """One watcher's place: the newest picture it has not taken yet. `take` from any thread."""

    def __init__(self, stream: str, wake: Callable[[], None], leave: Callable[["Watch"], None]) -> None:
        self.stream = stream
        self._wake, self._leave = wake, leave
        self._lock = threading.Lock()
        self._newest: Shot | None = None
        self._shown = self._late = self._skipped = 0

    def take(self) -> Shot | None:
        """Return the newest picture not yet taken, which counts as shown."""
        with self._lock:
            shot, self._newest = self._newest, None
            self._shown += shot is not None
            return shot

    def counters(self) -> WatchCounters:
        """Return the counters; a picture that waits to be taken is not in them yet."""
        with self._lock:
            return WatchCounters(self._shown + self._late + self._skipped, self._shown, self._late, self._skipped)

    def close(self) -> None:
        """Leave; idempotent."""
        self._leave(self)

    def put(self, shot: Shot) -> None:
        """Replace the picture that waits. Called by the broadcast."""
        with self._lock:
            self._late += self._newest is not None
            self._newest = shot
        self._wake()

    def skip(self, count: int) -> None:
        """Count pictures that came after their gap was given up, or are none."""
        with self._lock:
            self._skipped += count


@dataclass(slots=True)
class _Channel:
    """One stream's reading state, touched by the reader thread only, but for `watches` and `latest`: under the lock."""

    cursor: bytes = b""
    # Whether the server, as it is now, goes on behind the cursor.
    is_placed: bool = False
    reorder: ReorderBuffer[PaintedEntry] | None = None
    watches: set[Watch] = field(default_factory=set)
    latest: Shot | None = None
    asked_s: float = float("-inf")

    def is_past(self, seq: int) -> bool:
        """Say whether `seq` was handed out or given up."""
        return self.reorder is not None and seq < self.reorder.next_seq


class Broadcast:
    """Owner: whoever calls `start`; it must call `stop`."""

    def __init__(
        self, transport: ViewerTransport, *, limits: Limits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._transport, self._limits, self._clock = transport, limits, clock
        self._channels: dict[str, _Channel] = {}
        self._comparing: dict[str, int] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._came = threading.Event()
        self._thread = threading.Thread(target=self._run, name="broadcast", daemon=True)
        self.is_connected = True

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading; idempotent."""
        self._stopped.set()
        self._came.set()
        joined([self._thread], _STOP_S)

    def watch(self, stream: str, wake: Callable[[], None]) -> Watch:
        """Join a stream at its newest picture; never waits for the server.

        `wake` is called for each picture, from any thread, perhaps before this returns; it must not call back.
        """
        watch = Watch(stream, wake, self._leave)
        with self._lock:
            channel = self._channels.setdefault(stream, _Channel())
            channel.watches.add(watch)
            if channel.latest is not None:
                watch.put(channel.latest)
        self._came.set()
        return watch

    def compare(self, stream: str, on: bool) -> None:
        """Ask for the source's pictures beside the painted ones, or no more; counted over all who ask."""
        with self._lock:
            asking = self._comparing.get(stream, 0) + (1 if on else -1)
            self._comparing[stream] = max(0, asking)

    def streams(self) -> list[StreamRecord]:
        """Return the live streams. Raises `ServerGone`."""
        return [card for card in self._transport.streams() if card.mode == Mode.LIVE and card.age_s < _GONE_S]

    def workers(self) -> list[Heartbeat]:
        """Return the workers. Raises `ServerGone`."""
        return self._transport.workers()

    def _leave(self, watch: Watch) -> None:
        with self._lock:
            channel = self._channels.get(watch.stream)
            if channel is not None:
                channel.watches.discard(watch)
                if not channel.watches:
                    del self._channels[watch.stream]

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._read()
                self.is_connected = True
            except ServerGone as error:
                if self.is_connected:
                    log.warning("broadcast waits: %s", error)
                self.is_connected = False
                self._doubt()
                self._stopped.wait(_RETRY_S)
            except Exception:
                log.exception("broadcast goes on after a fault")
                self._stopped.wait(_RETRY_S)

    def _read(self) -> None:
        with self._lock:
            channels = dict(self._channels)
        if not channels:
            self._came.wait(_BLOCK_MS / 1000)
            self._came.clear()
            return
        for name, channel in channels.items():
            if not channel.is_placed:
                self._place(name, channel)
        self._ask_sources(channels)
        found = self._transport.read_many({name: c.cursor for name, c in channels.items()}, block_ms=_BLOCK_MS)
        now_s = self._clock()
        for name, entries in found.items():
            for entry in entries:
                self._take(name, channels[name], entry, now_s)
        for name, channel in channels.items():
            if channel.reorder is not None:
                self._hand_out(name, channel, list(channel.reorder.expire(now_s)))

    def _place(self, name: str, channel: _Channel) -> None:
        """Find where to read on: behind the cursor, or at the newest picture where the server knows no such place."""
        # `$` in every read would lose what comes between two reads.
        newest = self._transport.newest(name)
        if newest is None:
            channel.cursor = b"0-0"
        elif not channel.cursor or _place_in_time(newest.entry_id) < _place_in_time(channel.cursor):
            self._give_up_gaps(name, channel)
            self._take(name, channel, newest, self._clock())
        elif newest.entry_id != channel.cursor and channel.is_past(newest.seq):
            # Its producer was started again while we were away, and its picture 0 may be gone.
            self._give_up_gaps(name, channel)
        channel.is_placed = True

    def _give_up_gaps(self, name: str, channel: _Channel) -> None:
        """Hand out what waits for missing pictures, and put those that come next in an order of their own."""
        now_s = self._clock()
        while channel.reorder:
            now_s += _DEADLINE_S
            self._hand_out(name, channel, list(channel.reorder.expire(now_s)))
        channel.reorder = None

    def _take(self, name: str, channel: _Channel, entry: PaintedEntry, now_s: float) -> None:
        channel.cursor = entry.entry_id
        if channel.reorder is not None and _is_new_start(entry.seq, channel.reorder.next_seq):
            self._give_up_gaps(name, channel)
        if channel.reorder is None:
            channel.reorder = ReorderBuffer(entry.seq, deadline_s=_DEADLINE_S)
        before = channel.reorder.duplicates
        self._hand_out(name, channel, list(channel.reorder.push(entry.seq, entry, now_s)))
        if channel.reorder.duplicates > before and entry.kind == "painted":
            self._skip(channel)

    def _hand_out(self, name: str, channel: _Channel, entries: list[PaintedEntry]) -> None:
        for entry in entries:
            if entry.kind != "painted":
                continue
            if (shot := self._shot(name, entry)) is None:
                self._skip(channel)
                continue
            # With the lock, whoever joins has this picture exactly once.
            with self._lock:
                channel.latest = shot
                for watch in channel.watches:
                    watch.put(shot)

    def _skip(self, channel: _Channel) -> None:
        with self._lock:
            for watch in channel.watches:
                watch.skip(1)

    def _shot(self, name: str, entry: PaintedEntry) -> Shot | None:
        try:
            frame = unpack_frame(entry.frame, self._limits, raw=False)
            source = unpack_frame(entry.source, self._limits, raw=False).data if entry.source else b""
            stages = unpack_stages(entry.stages)
        except WireError as error:
            log.warning("stream=%s seq=%d is not shown: %s", name, entry.seq, error)
            return None
        return Shot(name, frame, source, stages, entry.published_ms)

    def _ask_sources(self, channels: dict[str, _Channel]) -> None:
        """Ask again well within the time an asking lasts."""
        now_s = self._clock()
        for name, channel in channels.items():
            if self._comparing.get(name) and now_s - channel.asked_s > COMPARE_MS / 2000:
                channel.asked_s = now_s
                try:
                    self._transport.ask_sources(name)
                except ServerFull as error:
                    log.warning("stream=%s is shown without its source for now: %s", name, error)

    def _doubt(self) -> None:
        """Have every place looked up again: the server that comes back may be another one, or know less."""
        with self._lock:
            for channel in self._channels.values():
                channel.is_placed = False


def _place_in_time(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, counter = entry_id.partition(b"-")
    return int(milliseconds), int(counter)


def _is_new_start(seq: int, next_seq: int) -> bool:
    """Say whether a stream's producer was started again under the same name: it counts from 0."""
    return seq < next_seq and (seq == 0 or next_seq - seq > _RESTARTED_BY)
