"""ReorderBuffer: any order in, `seq` order out, each frame once.

Pure: no socket, no clock (the caller passes the time). A file's buffer waits for a missing frame for ever.
A live one gives up on a gap after `deadline_s` and counts it. Bounded by the stream's window: nobody
has more frames on the way than credits.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class ReorderBuffer(Generic[T]):
    """Puts items back in order from `first` on."""

    def __init__(self, first: int = 0, *, deadline_s: float | None = None) -> None:
        self._next = first
        self._deadline_s = deadline_s
        self._waiting: dict[int, T] = {}
        self._gap_since_s: float | None = None
        self.duplicates = 0
        self.skipped = 0

    @property
    def next_seq(self) -> int:
        """The frame waited for."""
        return self._next

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, seq: int, item: T, now_s: float = 0.0) -> Iterator[T]:
        """Take an item; yield what is ready. A seq seen or passed before is dropped and counted."""
        if seq < self._next or seq in self._waiting:
            self.duplicates += 1
        else:
            self._waiting[seq] = item
        yield from self._ready(now_s)

    def expire(self, now_s: float) -> Iterator[T]:
        """Give up on a gap older than the deadline, count its frames as skipped, and yield what that makes ready."""
        if self._deadline_s is None or self._gap_since_s is None or not self._waiting:
            return
        if now_s - self._gap_since_s >= self._deadline_s:
            first = min(self._waiting)
            self.skipped += first - self._next
            self._next = first
            yield from self._ready(now_s)

    def _ready(self, now_s: float) -> Iterator[T]:
        moved = False
        while self._next in self._waiting:
            item = self._waiting.pop(self._next)
            self._next += 1
            moved = True
            yield item
        if not self._waiting:
            self._gap_since_s = None
        elif moved or self._gap_since_s is None:
            self._gap_since_s = now_s
