"""Whether a worker that fails frames is broken itself, or the frames are. Pure but for the lock.

A broken worker is the most dangerous one of a fleet: it fails in a millisecond, is idle again and takes the next frame.
"""

import threading

# So many failed frames in a row make the worker suspect; it then paints a picture of its own to find out.
SUSPECT_AFTER = 3
# A failed frame goes back to the queue. The worker that failed it waits before it takes another, each time twice as
# long, so that its neighbours are first.
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.05, 1.0


class Health:
    """The failures of one worker process since it last painted a frame. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_a_row = 0

    def painted(self) -> None:
        """Record a painted frame."""
        with self._lock:
            self._in_a_row = 0

    def failed(self) -> bool:
        """Record a failed frame. True: the worker has to test itself now."""
        with self._lock:
            self._in_a_row += 1
            return self._in_a_row % SUSPECT_AFTER == 0

    @property
    def pause_s(self) -> float:
        """How long to take no other frame."""
        with self._lock:
            return min(_FIRST_PAUSE_S * 2 ** min(self._in_a_row - 1, 10), _LAST_PAUSE_S) if self._in_a_row else 0.0
