"""Windows: how many frames may be on their way at once, of a file or of all live streams of a style. Bounded.

Pure: who waits and how is the producers' business. A file's frame holds its credit from submission until its sink has
written it, so a slow encoder slows the painters instead of filling the server.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.records import WorkerBeat


@dataclass(frozen=True, slots=True)
class LiveWindow:
    """The places all live streams of `style` share. When they are taken, a stream keeps its newest frame and waits."""

    style: str
    places: int


def live_places(painters: Sequence[WorkerBeat], round_trip_s: float) -> int:
    """Return how many places a style's live window has for a producer `round_trip_s` from the server.

    One for each painting thread and one that waits its turn; from far away as many more as are painted until a place
    that came back is taken again. Near the server that is none: the queue there grows by no frame.
    """
    busy = [beat for beat in painters if beat.busy > 0]
    rate_fps = sum(beat.fps / beat.busy for beat in busy)
    return sum(beat.threads for beat in painters) + 1 + round(rate_fps * round_trip_s)


def window_size(painting_threads: int) -> int:
    """Return the default window: two frames for each painting thread, and four on the way to and from them."""
    return 2 * max(1, painting_threads) + 4


class Window:
    """The credits of one stream."""

    def __init__(self, size: int) -> None:
        self._held: set[int] = set()
        self.size = size

    @property
    def in_flight(self) -> int:
        """How many credits are out."""
        return len(self._held)

    @property
    def is_full(self) -> bool:
        """Whether the next frame has to wait. A window made smaller may be over-full for a while."""
        return len(self._held) >= self.size

    def take(self, seq: int) -> None:
        """Give `seq` a credit. Raises `ValueError` when none is free or `seq` has one."""
        if self.is_full or seq in self._held:
            raise ValueError(f"no credit for frame {seq}: {len(self._held)} of {self.size} are out")
        self._held.add(seq)

    def give(self, seq: int) -> bool:
        """Take the credit of `seq` back. False when it has none (given before)."""
        if seq not in self._held:
            return False
        self._held.remove(seq)
        return True
