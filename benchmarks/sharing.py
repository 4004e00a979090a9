"""How a live stream and a file share one worker of a style: the stream's rate and delay alone and beside it, its rate.

    python -m benchmarks.sharing [--style test-sleep-60] [--fps 8 24] [--seconds 10] [--rounds 3]

The stand-in sleeps 60 ms a frame as the first demo's card did, so it is the queues that are measured. Alone and beside
a file take turns; each figure is the median of its rounds.
"""

import argparse
import os
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, dataclass
from fractions import Fraction

import numpy as np

from benchmarks.background_load import background_load, beats
from jobs.paint_job import PaintJob
from pipeline.errors import Stopped
from pipeline.process.config import settings
from pipeline.protocol.codec import encode
from pipeline.protocol.frame import Codec, Frame, Landmark, Look, StreamInfo
from pipeline.protocol.wire import Limits, unpack_frame
from pipeline.server.broker import Broker, open_broker
from producer.live import Channel, LiveFeed
from workers.local_workers import LocalWorkers
from workers.styles import find_style

# The feed learns the number of painters a second after its start, a file's first painting comes within it.
_SETTLE_S = 2.0
_SIZE = (48, 64, 3)
_LIMITS = Limits(1 << 16, 1 << 16)


@dataclass(frozen=True, slots=True)
class Share:
    """Rates in frames a second; the delay from capture to a viewer that waits for it, in milliseconds."""

    live_fps: float
    delay_p50_ms: float
    delay_p95_ms: float
    file_fps: float


class EndlessFile:
    """A source of small pictures that never ends."""

    info = StreamInfo(_SIZE[1], _SIZE[0], Fraction(1, 25), rate=Fraction(25), frames=1_000_000)

    def frames(self, start: int = 0, landmark: Landmark | None = None) -> Iterator[Frame]:
        """Yield frames for as long as they are taken."""
        for seq in range(start, 1_000_000):
            yield Frame(seq, seq, np.full(_SIZE, seq % 256, np.uint8))

    def close(self) -> None:
        """There is nothing to let go of."""


class Times:
    """A sink that keeps when each frame came."""

    def __init__(self) -> None:
        self.at_s: list[float] = []

    def landmark(self) -> Landmark | None:
        """Nothing is sought here."""
        return None

    def next_seq(self) -> int:
        """Begin at the beginning."""
        return 0

    def write(self, frame: Frame) -> None:
        """Note the time."""
        self.at_s.append(time.monotonic())

    def stop(self) -> None:
        """Nothing waits."""

    def finish(self) -> None:
        """There is nothing to finish."""

    def take_notices(self) -> list[str]:
        return []

    def keep_partial(self) -> None:
        """There is nothing to keep."""

    def close(self) -> None:
        """There is nothing to close."""


@contextmanager
def filing(broker: Broker, style: str) -> Iterator[list[float]]:
    """Paint an endless file until the end of the block. Yields when its frames came."""
    sink = Times()
    job = PaintJob(EndlessFile(), sink, style=style, look=Look(), broker=broker, settings=settings())

    def paint() -> None:
        with suppress(Stopped):
            job.run(lambda _: None)

    painting = threading.Thread(target=paint)
    painting.start()
    try:
        yield sink.at_s
    finally:
        job.stop()
        painting.join()


@contextmanager
def filming(broker: Broker, style: str, fps: float) -> Iterator[list[tuple[float, float]]]:
    """Film until the end of the block. Yields when each painting came, and how many ms after its capture."""
    feed = LiveFeed(Channel("desk", broker.transport, broker.pack), style, Look())
    seen: list[tuple[float, float]] = []

    def film(ended: threading.Event) -> None:
        for _ in beats(fps, ended):
            frame = Frame(0, int(time.monotonic() * 1000), np.full(_SIZE, 90, np.uint8))
            feed.offer(encode(frame, Codec.MJPEG))

    def watch(ended: threading.Event) -> None:
        cursor = b"0-0"
        while not ended.is_set():
            for entry in broker.transport.read("desk", cursor, block_ms=100):
                cursor = entry.entry_id
                if entry.frame:
                    now_s = time.monotonic()
                    seen.append((now_s, now_s * 1000 - unpack_frame(entry.frame, _LIMITS).pts))

    feed.start()
    with closing(feed), background_load(film, watch):
        yield seen


def share(broker: Broker, style: str, fps: float, seconds: float, *, with_file: bool) -> Share:
    """Film at `fps` for `seconds`, alone or beside a file, with the style's present workers."""
    with filming(broker, style, fps) as seen:
        if not with_file:
            return _measured(seen, [], seconds)
        with filing(broker, style) as file_s:
            return _measured(seen, file_s, seconds)


def _measured(seen: list[tuple[float, float]], file_s: list[float], seconds: float) -> Share:
    time.sleep(_SETTLE_S)
    began_s = time.monotonic()
    time.sleep(seconds)
    delays = [delay for at_s, delay in list(seen) if at_s >= began_s]
    filed = sum(at_s >= began_s for at_s in list(file_s))
    p50, p95 = (float(np.percentile(delays, percent)) for percent in (50, 95))
    return Share(len(delays) / seconds, p50, p95, filed / seconds)


def _median(shares: Sequence[Share]) -> Share:
    live_fps, p50, p95, file_fps = (statistics.median(figures) for figures in zip(*map(astuple, shares), strict=True))
    return Share(live_fps, p50, p95, file_fps)


def main() -> None:
    """Measure every rate and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--style", default="test-sleep-60")
    parser.add_argument("--fps", type=float, nargs="+", default=[8.0, 24.0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    # Spawned workers inherit it.
    os.environ["PAINTER_TEST_STYLES"] = "1"
    settings.cache_clear()
    print("| camera | | live FPS | delay p50 / p95 | file FPS |\n| --- | --- | --- | --- | --- |")  # noqa: T201
    with open_broker() as broker, LocalWorkers(broker, [find_style(chosen.style)], 1, lambda _: None):
        for fps in chosen.fps:
            ways: dict[bool, list[Share]] = {False: [], True: []}
            for _ in range(chosen.rounds):
                for with_file, shares in ways.items():
                    shares.append(share(broker, chosen.style, fps, chosen.seconds, with_file=with_file))
            for with_file, shares in ways.items():
                got = _median(shares)
                beside, filed = ("beside a file", f"{got.file_fps:.1f}") if with_file else ("alone", "")
                delays = f"{got.delay_p50_ms:.0f} / {got.delay_p95_ms:.0f} ms"
                print(f"| {fps:g} FPS | {beside} | {got.live_fps:.1f} | {delays} | {filed} |")  # noqa: T201


if __name__ == "__main__":
    main()
