"""The names of the ticket queues and the order a worker asks them in: live first, and no file starved by it.

Pure: kombu owns the sockets and calls `LiveFirst` between two blocking reads.
"""

from collections.abc import Sequence

_PREFIX = "style."
_LIVE = ".live"
# Every fifth take asks the file queue first: live streams drop what they cannot get, a file would wait for ever.
FILE_TURN = 5


def queue_of(style: str, *, live: bool = False) -> str:
    """Return the queue of a style's tickets."""
    return f"{_PREFIX}{style}{_LIVE if live else ''}"


def style_of(queue: str) -> str | None:
    """Return the style a queue belongs to, None for a queue that is not a style's."""
    return queue.removeprefix(_PREFIX).removesuffix(_LIVE) if queue.startswith(_PREFIX) else None


class LiveFirst:
    """kombu's `queue_order_strategy`: BRPOP takes from the first queue that has something."""

    def __init__(self, queues: Sequence[str] = ()) -> None:
        self._queues = list(queues)
        self._taken = 0

    def update(self, queues: Sequence[str]) -> None:
        """Set the queues consumed from."""
        self._queues[:] = queues

    def consume(self, count: int) -> list[str]:
        """Return up to `count` queues in the order to ask them."""
        file_first = self._taken % FILE_TURN == FILE_TURN - 1
        return sorted(self._queues, key=lambda queue: queue.endswith(_LIVE) is file_first)[:count]

    def rotate(self, last_used: str) -> str:
        """Note that a ticket was taken."""
        self._taken += 1
        return last_used


def failures_key(stream: str) -> str:
    """Return the key of a stream's failed attempts."""
    # Below the stream's own name, so that ACL files made before there was such a key allow it.
    return f"stream:{stream}:failures"


def window_keys(style: str) -> tuple[str, str, str]:
    """Return the keys of a style's live window: who has a place, who asks for one, who was served when."""
    return f"live:{style}", f"asking:{style}", f"served:{style}"
