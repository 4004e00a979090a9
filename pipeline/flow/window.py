"""Windows: how many frames may be on their way at once, of a file or of all live streams of a style. Bounded.

Pure: who waits and how is the producers' business. A file's frame holds its credit from submission until its sink has
written it, so a slow encoder slows the painters instead of filling the server.
"""

import statistics
from collections import deque
from collections.abc import Container, Sequence
from dataclasses import dataclass

from pipeline.protocol.frame import Codec
from pipeline.protocol.records import Heartbeat
from pipeline.protocol.wire import Stages, version_of

# Frames over which a worker's times are taken: one packet that was lost on its line says nothing of the next frame.
_KEPT = 9
# Of a frame document without its picture: fields, and a photo's path.
_DOCUMENT_BYTES = 8192
# Answers of the server a worker waits for, one after the other: for taking a ticket, noting that it holds it, claiming
# the frame. The painting is there half a round trip after it was sent, as the ticket came half a one before.
_ANSWERS_HELD = 3
# And two more until it takes the next ticket: for the painting and for the acknowledgement.
_ANSWERS = 5

# A producer with a shorter round trip is beside the server (0.2 to 1 ms): a painter that waits for its next frame so
# long loses less than a frame that waits for its painter.
_NEAR_S = 0.003


@dataclass(frozen=True, slots=True)
class LiveWindow:
    """The places all live streams of `style` share. When they are taken, a stream keeps its newest frame and waits."""

    style: str
    places: int


def live_places(painters: Sequence[Heartbeat], round_trip_s: float) -> int:
    """Return how many places a style's live window has for a producer `round_trip_s` from the server.

    One for each painting thread. From far away one more that waits its turn, and as many as are painted until a place
    that came back is taken again. Near the server a frame that waits there only grows old: two painters of 40 ms gave
    39.6 frames/s without it, 118 ms old (p95) with it and 73 without.
    """
    waiting = int(round_trip_s > _NEAR_S)
    busy = [beat for beat in painters if beat.busy > 0]
    travelling = round(sum(beat.fps / beat.busy for beat in busy) * round_trip_s)
    return max(1, sum(beat.threads for beat in painters) + waiting + travelling)


def window_size(painting_threads: int) -> int:
    """Return the default window: two frames for each painting thread, and four on the way to and from them."""
    return 2 * max(1, painting_threads) + 4


def raw_bytes(window: int, painters: Sequence[Heartbeat], server_bytes: int, most_bytes: int) -> int:
    """Return up to how many bytes a file's frame crosses this machine's own server as raw pixels; 0: none may.

    `server_bytes`: the server's memory. A whole window takes a tenth of it at most, and as much again while it is read,
    so that six films at once, one in each style, leave room for live ones. `most_bytes`: largest document taken.
    """
    if any(beat.wire_version < version_of(Codec.RAW) for beat in painters):
        return 0
    return min(server_bytes // 10 // window, most_bytes - _DOCUMENT_BYTES)


class Holds:
    """How long each worker holds a frame of one file, out of its paintings' stages, and the window this asks for.

    The sink writes in order: while the slowest painter holds its frame, all others must find frames to paint. One
    thread may note while another asks.
    """

    def __init__(self) -> None:
        self._times_ms: dict[str, deque[tuple[float, float]]] = {}

    def note(self, stages: Stages, published_ms: int) -> None:
        """Note a painting. What claim → publish took beyond the work itself is one round trip."""
        work_ms = stages.decode_ms + stages.paint_ms + stages.encode_ms
        answer_ms = max(0.0, published_ms - stages.claimed_ms - work_ms)
        kept = self._times_ms.get(stages.worker) or deque(maxlen=_KEPT)
        kept.append((work_ms, answer_ms))
        self._times_ms[stages.worker] = kept

    def wider(self, painters: Sequence[Heartbeat]) -> int:
        """Return by how many frames the window has to be wider than `window_size` for these painters.

        By none where all are alike and near: each paints one frame while the slowest holds its own.
        """
        self._forget_all_but({beat.name for beat in painters})
        known = [(beat.threads, *_medians(list(kept))) for beat in painters if (kept := self._times_ms.get(beat.name))]
        longest_ms = max((work_ms + _ANSWERS_HELD * answer_ms for _, work_ms, answer_ms in known), default=0.0)
        painted = (
            threads * (longest_ms / max(1.0, work_ms + _ANSWERS * answer_ms) - 1)
            for threads, work_ms, answer_ms in known
        )
        return max(0, round(sum(painted)))

    def _forget_all_but(self, names: Container[str]) -> None:
        for gone in [name for name in list(self._times_ms) if name not in names]:
            self._times_ms.pop(gone, None)


def _medians(times_ms: Sequence[tuple[float, float]]) -> tuple[float, float]:
    work_ms, answer_ms = (statistics.median(column) for column in zip(*times_ms, strict=True))
    return work_ms, answer_ms


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
