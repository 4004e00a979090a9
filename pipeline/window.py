"""Windows: how many frames may be on their way at once, of a file or of all live streams of a style. Bounded.

Pure: who waits and how is the producers' business. A file's frame holds its credit from submission until its sink has
written it, so a slow encoder slows the painters instead of filling the server.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LiveWindow:
    """The places all live streams of `style` share. When they are taken, a stream keeps its newest frame and waits."""

    style: str
    places: int


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
