"""The desk's end of a file job without pictures: what a producer sends comes back undecoded, in order, counted.

`python -m benchmarks.throughput FRAMES STYLE ROUNDS` with `BROKER_URL` does so in a process of its own, a short run
first to warm up, and prints a JSON list; `push_through` is the same within a process.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from uuid import uuid4

from benchmarks.harness import HEIGHT, WIDTH, picture, rss_mib
from pipeline.flow.window import Window, window_size
from pipeline.protocol.frame import Codec, EncodedFrame, Look
from pipeline.protocol.wire import Limits, unpack_frame
from pipeline.server.broker import Broker, open_broker
from producer.submit import Order, Submission
from viewer.painted_reader import PaintedReader

_LIMITS = Limits(1 << 24, 1 << 24)
_WATCH_S = 0.2
_WARM_UP = 200


@dataclass(frozen=True, slots=True)
class Run:
    """One stream's way through. `cpu_ms`: of this process, a frame; `longest_gap_s`: between two frames out;
    `rss_mib`: this process's memory at its end.
    """

    frames: int
    seconds: float
    cpu_ms: float
    longest_gap_s: float
    resubmitted: int
    rss_mib: float

    @property
    def fps(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds


def push_through(broker: Broker, style: str, jpeg: bytes, frames: int) -> Run:
    """Send `frames` copies of `jpeg` through the workers of `style` and read their paintings, decoding nothing."""
    painters = sum(beat.threads for beat in broker.transport.workers() if beat.style == style)
    stream = f"bench-{uuid4().hex[:12]}"
    facts: dict[str, str | int] = {"style": style, "mode": "file", "width": WIDTH, "height": HEIGHT}
    submission = Submission(
        broker.transport, partial(broker.pack, style), Order(stream, style, Look(), 3, facts),
        window=Window(window_size(painters)), wait_s=10.0,
    )  # fmt: skip
    collector = PaintedReader(
        broker.transport, stream, first=0, limits=_LIMITS, wait_s=10.0,
        on_arrival=lambda seq, stages, _: submission.arrived(seq, stages),
    )  # fmt: skip
    submission.is_caught_up = lambda: collector.is_caught_up
    submission.watch()

    def feed() -> None:
        for seq in range(frames):
            submission.submit(EncodedFrame(seq, seq, Codec.MJPEG, WIDTH, HEIGHT, jpeg))
        collector.finish_at(frames)

    began_s, began_cpu_s = time.monotonic(), time.process_time()
    times_s = [began_s]
    with _Running(feed, submission):
        for entry in collector.entries():
            unpack_frame(entry.frame, _LIMITS)
            submission.written(entry.seq)
            times_s.append(time.monotonic())
    submission.close()
    return Run(
        frames,
        times_s[-1] - began_s,
        (time.process_time() - began_cpu_s) * 1000 / frames,
        max(later - sooner for sooner, later in pairwise(times_s)),
        submission.resubmitted,
        rss_mib(),
    )


class _Running:
    """Feeds, and looks after leases, in two threads of their own, for as long as the block lasts."""

    def __init__(self, feed: Callable[[], None], submission: Submission) -> None:
        self._ended = threading.Event()
        self._submission = submission
        self._threads = [threading.Thread(target=feed), threading.Thread(target=self._watch)]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._submission.stop()
        for thread in self._threads:
            thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_WATCH_S):
            self._submission.watch()


def main() -> None:
    """Push frames through as the command line says, after a few to warm up."""
    frames, style, rounds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    jpeg = picture()
    with open_broker() as broker:
        runs = [push_through(broker, style, jpeg, count) for count in (min(_WARM_UP, frames), *[frames] * rounds)]
    print(json.dumps([asdict(run) for run in runs]))  # noqa: T201 - its purpose


if __name__ == "__main__":
    main()
