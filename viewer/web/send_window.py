"""Which pictures a page was sent and has not drawn. Pure: the caller passes the time.

Invariant: of each stream at most `unacked` are on their way; whatever a page does, it gets no more than it draws.
"""

from collections import deque
from dataclasses import dataclass

# A page that never says "drawn" (hidden, broken picture) gets one picture in so long, and is back at once when it does.
_FORGET_S = 2.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A picture on its way: when it was sent (monotonic), its capture time, how long the worker had it, its size."""

    seq: int
    at_s: float
    pts: int
    inside_ms: float
    size_bytes: int = 0


class SendWindow:
    """One stream's pictures on their way to one page."""

    def __init__(self, unacked: int) -> None:
        self._unacked = unacked
        self._sent: deque[Sent] = deque()

    def has_room(self, now_s: float, unacked: int | None = None) -> bool:
        """Whether one more may be sent; `unacked`: how many there may be now, on a long line more than usual."""
        while self._sent and now_s - self._sent[0].at_s > _FORGET_S:
            self._sent.popleft()
        return len(self._sent) < (self._unacked if unacked is None else unacked)

    def put(self, sent: Sent) -> None:
        """Note a picture as sent."""
        self._sent.append(sent)

    def drawn(self, seq: int) -> list[Sent]:
        """Take `seq` as drawn and what was sent before it as overtaken; return them, it last. Empty: not on its way."""
        if all(sent.seq != seq for sent in self._sent):
            return []
        done = [self._sent.popleft()]
        while done[-1].seq != seq:
            done.append(self._sent.popleft())
        return done
