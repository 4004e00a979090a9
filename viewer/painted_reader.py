"""A file's way back: the painted stream read, put in order, decoded. Loses nothing, waits for what is missing."""

import logging
import threading
import time
from collections.abc import Callable, Iterator

from pipeline.errors import FrameFailed, ServerFull, ServerGone
from pipeline.flow.reorder import ReorderBuffer
from pipeline.flow.server_retry import OutageTimer
from pipeline.protocol.codec import decode
from pipeline.protocol.frame import Frame
from pipeline.protocol.records import PaintedEntry
from pipeline.protocol.wire import Limits, Stages, unpack_frame, unpack_stages
from pipeline.server.viewer_transport import ViewerTransport

log = logging.getLogger(__name__)

_FIRST = b"0-0"
# How soon a stop is noticed; entries wake the reader at once.
_BLOCK_MS = 250
_RETRY_S = 0.05


class PaintedReader:
    """The reader of one file stream, from frame `first` on. `on_arrival` hears of each entry as it comes: its
    number, its stages, and when it was published (server ms)."""

    def __init__(
        self,
        transport: ViewerTransport,
        stream: str,
        *,
        first: int,
        limits: Limits,
        wait_s: float,
        on_arrival: Callable[[int, Stages, int], object],
    ) -> None:
        self._transport, self._stream, self._limits = transport, stream, limits
        self._on_arrival = on_arrival
        self._outage = OutageTimer(wait_s, time.monotonic)
        self._reorder: ReorderBuffer[PaintedEntry] = ReorderBuffer(first)
        self._cursor = _FIRST
        self._total: int | None = None
        self._stopped = threading.Event()
        #: Whether the last read found nothing more: whoever has not arrived by then is not on its way to us.
        self.is_caught_up = False

    @property
    def duplicates(self) -> int:
        """Entries that came a second time."""
        return self._reorder.duplicates

    @property
    def cursor(self) -> bytes:
        """The id of the last entry read."""
        return self._cursor

    @property
    def has_read(self) -> bool:
        """Whether `cursor` is an entry's id."""
        return self._cursor != _FIRST

    @property
    def is_complete(self) -> bool:
        """Whether every frame has been handed out."""
        return self._total == self._reorder.next_seq

    def finish_at(self, total: int) -> None:
        """Say how many frames the stream has, once its source has ended."""
        self._total = total

    def rewind(self) -> None:
        """Read from the start again: a server that came back empty may count its ids from lower."""
        self._cursor = _FIRST

    def stop(self) -> None:
        """End `frames` soon; idempotent."""
        self._stopped.set()

    def frames(self) -> Iterator[Frame]:
        """Yield paintings in order until all are here. Raises `FrameFailed` at a tombstone, `ServerGone` for good."""
        for entry in self.entries():
            yield self._unpack(entry)

    def entries(self) -> Iterator[PaintedEntry]:
        """Yield what `frames` yields, as it came."""
        while not (self._stopped.is_set() or self.is_complete):
            for entry in self._read():
                yield from self._take(entry)

    def _read(self) -> list[PaintedEntry]:
        try:
            cursor = self._cursor
            entries = self._transport.read(self._stream, cursor, block_ms=_BLOCK_MS)
            self.is_caught_up = not entries
        except (ServerGone, ServerFull) as error:
            self.is_caught_up = False
            self._outage.record(error)
            self._stopped.wait(_RETRY_S)
            return []
        self._outage.clear()
        if entries and cursor == self._cursor:
            self._cursor = entries[-1].entry_id
        return entries

    def _take(self, entry: PaintedEntry) -> Iterator[PaintedEntry]:
        if entry.kind == "failed":
            raise FrameFailed(self._stream, entry.seq, entry.reason)
        self._on_arrival(entry.seq, unpack_stages(entry.stages), entry.published_ms)
        yield from self._reorder.push(entry.seq, entry)

    def _unpack(self, entry: PaintedEntry) -> Frame:
        frame = unpack_frame(entry.frame, self._limits)
        return Frame(frame.seq, frame.pts, decode(frame), frame.name)
