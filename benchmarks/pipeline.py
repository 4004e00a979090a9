"""What the pipeline costs and holds: a file's rate beside a bare loop, a live stream's rate and delay, a killed worker.

    python -m benchmarks.pipeline CLIP [--style wave] [--out benchmarks/results/pipeline.json]

Everything in one run on one machine, on its own embedded server; the ways of painting a file take turns. Figures are
medians with their spread. Ratios between neighbours hold on a noisy machine, single figures do not.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from commands.broker import Broker, open_broker
from commands.crew import Crew
from commands.job import PaintJob, Progress
from pipeline.codec import encode_pixels
from pipeline.config import settings
from pipeline.frame import Codec, Look
from pipeline.wire import Limits
from producer.intake import LiveIntake
from producer.source import open_source
from viewer.broadcast import Broadcast, Shot
from viewer.segments import SinkOptions
from viewer.sink import open_sink
from workers.styles import find_style, load_engine
from workers.stylize import stylize

_LIMITS = Limits(1 << 24, 1 << 24)
_ROUNDS = 3
_LIVE_S = 20.0
_FPS = 30.0
# One frame on its way at a time: well below what a worker that paints nothing can take.
_SINGLE_FPS = 10.0


def bare_loop(clip: Path, style: str, output: Path) -> float:
    """Paint `clip` without queue or second process, the network on one thread. Return frames a second."""
    engine = load_engine(find_style(style), "cpu", 1)
    began_s, frames = 0.0, 0
    with closing(open_source(clip)) as source, closing(open_sink(clip, output, source.info, SinkOptions())) as sink:
        for frame in source.frames():
            # The first picture compiles the network; a worker has done so before it counts, too.
            painted = stylize(engine, frame.pixels, Look(), tile_pixels=1 << 24)
            began_s = began_s or time.monotonic()
            sink.write(frame.seq, frame.pts, painted, frame.name)
            frames += 1
        sink.finish()
    return (frames - 1) / (time.monotonic() - began_s)


def pipeline(broker: Broker, clip: Path, style: str, output: Path, on_frame: Callable[[int], None]) -> float:
    """Paint `clip` through queue and workers that run already. Return frames a second from the first one written."""
    times_s: list[float] = []

    def note(progress: Progress) -> None:
        times_s.append(time.monotonic())
        on_frame(progress.done)

    with closing(open_source(clip)) as source, closing(open_sink(clip, output, source.info, SinkOptions())) as sink:
        PaintJob(source, sink, style=style, look=Look(), broker=broker, settings=settings()).run(note)
        sink.finish()
    return (len(times_s) - 1) / (time.monotonic() - times_s[0])


def file_rates(broker: Broker, clip: Path, style: str, folder: Path) -> dict[str, object]:
    """Return the rates of bare loop, one worker and two, taking turns."""
    rates: dict[str, list[float]] = {"bare loop": [], "1 worker": [], "2 workers": []}
    for number in range(_ROUNDS):
        rates["bare loop"].append(bare_loop(clip, style, folder / f"bare{number}.mp4"))
        for workers in (1, 2):
            with Crew(broker, [find_style(style)], workers, print):
                output = folder / f"{workers}-{number}.mp4"
                rates[f"{workers} worker{'s' * (workers > 1)}"].append(
                    pipeline(broker, clip, style, output, lambda _: None)
                )
    return {name: _spread(found) for name, found in rates.items()}


def longest_stall(broker: Broker, clip: Path, style: str, folder: Path) -> dict[str, object]:
    """Return the longest time without a frame around a `kill -9` of one of two workers, and without one."""
    gaps: dict[str, list[float]] = {"undisturbed": [], "a worker killed": []}
    for name, found in gaps.items():
        for number in range(_ROUNDS):
            times_s: list[float] = []
            with Crew(broker, [find_style(style)], 2, lambda _: None) as crew:

                def note(done: int, times_s: list[float] = times_s, name: str = name) -> None:
                    times_s.append(time.monotonic())
                    if done == 40 and name != "undisturbed":
                        os.kill(broker.transport.workers()[0].pid, signal.SIGKILL)

                with _polled(crew):
                    pipeline(broker, clip, style, folder / f"{name.replace(' ', '-')}{number}.mp4", note)
            found.append(max(later - sooner for sooner, later in pairwise(times_s)))
    return {name: _spread(found) for name, found in gaps.items()}


def live(broker: Broker, style: str, fps: float, picture: bytes) -> dict[str, object]:
    """Offer a 640×480 picture at `fps` for 20 s to two workers; return rate and delay as one viewer sees them."""
    shots: list[tuple[float, Shot]] = []
    with Crew(broker, [find_style(style)], 2, lambda _: None), _watched(broker, style, shots) as offer:
        began_s = time.monotonic()
        for number in range(int(_LIVE_S * fps)):
            offer(picture, int(time.monotonic() * 1000))
            time.sleep(max(0.0, began_s + (number + 1) / fps - time.monotonic()))
        (card,) = broker.transport.streams()
    # The first second holds the compiling of the network for this size.
    settled = [(at_s, shot) for at_s, shot in shots if at_s - began_s > 1.0]
    delays = [at_s * 1000 - shot.pts for at_s, shot in settled]
    added = [
        delay - shot.stages.decode_ms - shot.stages.paint_ms - shot.stages.encode_ms
        for delay, (_, shot) in zip(delays, settled, strict=True)
    ]
    return {
        "fps": round((len(settled) - 1) / (settled[-1][0] - settled[0][0]), 1),
        "delay_ms": _percentiles(delays),
        "added_ms": _percentiles(added),
        "paint_ms": _percentiles([shot.stages.paint_ms for _, shot in settled]),
        "captured": card.captured,
        "dropped": card.dropped,
        "failed": card.failed,
        "jpeg_bytes": len(picture),
    }


@contextmanager
def _watched(broker: Broker, style: str, shots: list[tuple[float, Shot]]) -> Iterator[Callable[[bytes, int], None]]:
    reader = Broadcast(broker.transport, limits=_LIMITS)
    reader.start()
    session = LiveIntake(broker.transport, broker.pack, _LIMITS).open("bench", [style], Look())
    changed, ended = threading.Event(), threading.Event()
    watch = reader.watch("bench", changed.set)

    def look() -> None:
        while not ended.is_set():
            changed.wait(0.1)
            changed.clear()
            if (shot := watch.take()) is not None:
                shots.append((time.monotonic(), shot))

    viewer = threading.Thread(target=look)
    viewer.start()
    # The feed learns the number of painters with its first sign of life, a second after its start.
    time.sleep(1.5)
    try:
        yield session.offer
    finally:
        ended.set()
        viewer.join()
        session.close()
        reader.stop()


@contextmanager
def _polled(crew: Crew) -> Iterator[None]:
    ended = threading.Event()

    def tend() -> None:
        while not ended.wait(0.1):
            crew.poll()

    keeper = threading.Thread(target=tend)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()


def _picture(clip: Path) -> bytes:
    """Return a frame from the middle of `clip` as a camera would send it: 640×480, JPEG quality 88."""
    with closing(open_source(clip)) as source:
        middle = (source.info.frames or 2) // 2
        frame = next(frame for frame in source.frames() if frame.seq >= middle)
    small = np.asarray(cv2.resize(frame.pixels, (640, 480), interpolation=cv2.INTER_AREA), np.uint8)
    return encode_pixels(small, Codec.MJPEG, quality=88)


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    return {f"p{percent}": round(float(np.percentile(values, percent)), 1) for percent in (50, 95, 99)}


def main() -> None:
    """Run all and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("clip", type=Path)
    parser.add_argument("--style", default="wave")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/pipeline.json"))
    chosen = parser.parse_args()
    # Spawned workers inherit it: the stand-ins measure the pipeline alone.
    os.environ["PAINTER_TEST_STYLES"] = "1"
    settings.cache_clear()
    picture = _picture(chosen.clip)
    with tempfile.TemporaryDirectory() as folder, open_broker() as broker:
        results = {
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
            "load": os.getloadavg(),
            "clip": chosen.clip.name,
            "style": chosen.style,
            "live at 30 FPS": live(broker, chosen.style, _FPS, picture),
            "one frame in flight": live(broker, "test-bytes", _SINGLE_FPS, picture),
            "file, frames a second": file_rates(broker, chosen.clip, chosen.style, Path(folder)),
            "longest stall, s": longest_stall(broker, chosen.clip, "test-sleep-40", Path(folder)),
        }
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))  # noqa: T201 - its purpose


if __name__ == "__main__":
    main()
