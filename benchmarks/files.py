"""A film through the whole pipeline beside a loop without queue or second process, and the stall a killed worker makes.

The loop decodes, paints on one thread and encodes with the same x264 settings. The ways take turns.
"""

import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import cv2  # isort: skip
import av
import numpy as np
import psutil

from benchmarks.background_load import background_load
from benchmarks.end_to_end import whole_commands
from benchmarks.harness import HEIGHT, WIDTH, Plan, cpu_s, harness, spread, turns
from jobs.paint_job import PaintJob
from jobs.report import Progress
from jobs.temporal import TemporalSmoother
from pipeline.process.config import settings
from pipeline.protocol.frame import Look
from pipeline.server.broker import Broker, open_broker
from producer.source import open_source
from viewer.segments import SinkOptions
from viewer.sink import open_sink
from workers.local_workers import LocalWorkers
from workers.styles import find_style, load_engine
from workers.stylize import stylize

_STYLE, _SLEEPING = "wave", "test-sleep-60"
# So slow that the painters are what a film waits for: one killed while it has no frame makes no stall.
_STALLING = "test-sleep-100"
_FPS = 24
_KILL_AT = 40


def measure(plan: Plan) -> dict[str, object]:
    """Return frames a second of each way, of the 60 ms painter with one worker and two, and the longest stalls."""
    rounds, frames = (1, 60) if plan.quick else (3, 150)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film = plan.clip or make_film(folder / "film.mp4", frames)
        crews = {"1 worker": 1, "2 workers": 2}
        ways = {"bare loop": partial(_bare_loop, film, folder)}
        ways |= {way: partial(_through, film, folder, workers) for way, workers in crews.items()}
        rates = _rates(turns(plan, ways, rounds))
        whole = whole_commands(plan, film, folder, rounds)
        naps = {f"60 ms, {way}": partial(_sleeping, film, folder, workers) for way, workers in crews.items()}
        one, two = turns(plan, naps, rounds).values()
        kills = {way: partial(_stall, film, folder, kill) for way, kill in _STALLS.items()}
        stalls = turns(plan, kills, rounds)
    return {
        "clip": plan.clip.name if plan.clip else f"made for this, {WIDTH}×{HEIGHT}, {frames} frames",
        "style": _STYLE,
        "fps": rates,
        "whole commands": whole,
        "60 ms painter, fps": {"1 worker": spread(one), "2 workers": spread(two)},
        "two of one": round(statistics.median(two) / statistics.median(one), 3),
        "longest gap, s": {way: spread(gaps) for way, gaps in stalls.items()},
    }


_STALLS = {"undisturbed": False, "one of two workers killed": True}


def make_film(path: Path, frames: int) -> Path:
    """Write a film of a landscape of noise that moves, with the detail of a photo."""
    rough = np.random.default_rng(1).integers(0, 256, (HEIGHT // 8, WIDTH // 4, 3), np.uint8)
    wide = np.asarray(cv2.resize(rough, (2 * WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=_FPS, options={"preset": "veryfast", "crf": "18"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(frames):
            at = 2 * number % WIDTH
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(wide[:, at : at + WIDTH]), format="bgr24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def _rates(found: Mapping[str, Sequence[tuple[float, float]]]) -> dict[str, object]:
    fps = {way: statistics.median(fps for fps, _ in each) for way, each in found.items()}
    cpu_ms = {way: statistics.median(ms for _, ms in each) for way, each in found.items()}
    bound = 1000 * (os.cpu_count() or 1) / cpu_ms["2 workers"]
    return {
        **{
            way: {**spread([fps for fps, _ in each]), "cpu_ms_per_frame": round(cpu_ms[way], 1)}
            for way, each in found.items()
        },
        "1 worker / bare loop": round(fps["1 worker"] / fps["bare loop"], 3),
        "2 workers / CPU bound": round(fps["2 workers"] / bound, 3),
    }


def _bare_loop(film: Path, folder: Path) -> tuple[float, float]:
    """Paint without queue or second process, the network on one thread. Return frames a second, CPU ms a frame."""
    engine = load_engine(find_style(_STYLE), "cpu", 1)
    began_s = began_cpu_s = 0.0
    frames, output, smoother = 0, folder / "bare.mp4", TemporalSmoother()
    with (
        closing(open_source(film, steady=True)) as source,
        closing(open_sink(film, output, source.info, SinkOptions())) as sink,
    ):
        for frame in source.frames():
            smoother.add(frame)
            # The first picture compiles the network; a worker has done so before it counts, too.
            painted = stylize(engine, frame.pixels, Look(), tile_pixels=1 << 24)
            if not began_s:
                began_s, began_cpu_s = time.monotonic(), time.process_time()
            sink.write(replace(frame, pixels=smoother.smooth(frame.seq, painted)))
            frames += 1
        sink.finish()
    taken_s, used_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
    output.unlink()
    return (frames - 1) / taken_s, used_s * 1000 / frames


def _through(film: Path, folder: Path, workers: int) -> tuple[float, float]:
    """Paint through queue and workers. Return frames a second once one is written, and CPU ms a frame of all."""
    with harness(_STYLE, workers) as on:
        pids = (psutil.Process().pid, *on.pids.values())
        used: list[float] = []
        times_s = _paint(on.broker, film, folder, _STYLE, lambda done: used.append(sum(map(cpu_s, pids))))
    cpu_ms = (used[-1] - used[0]) * 1000 / (len(used) - 1)
    return (len(times_s) - 1) / (times_s[-1] - times_s[0]), cpu_ms


def _sleeping(film: Path, folder: Path, workers: int) -> float:
    with harness(_SLEEPING, workers) as on:
        times_s = _paint(on.broker, film, folder, _SLEEPING, lambda _: None)
    return (len(times_s) - 1) / (times_s[-1] - times_s[0])


def _stall(film: Path, folder: Path, kill: bool) -> float:
    """Return the longest time without a frame, with or without a `kill -9` of one of two workers."""
    with open_broker() as broker, LocalWorkers(broker, [find_style(_STALLING)], 2, lambda _: None) as crew:

        def note(done: int) -> None:
            if done == _KILL_AT and kill:
                os.kill(broker.transport.workers()[0].pid, signal.SIGKILL)

        def tend(ended: threading.Event) -> None:
            """Have dead workers started again, as the command does."""
            while not ended.wait(0.1):
                crew.poll()

        with background_load(tend):
            times_s = _paint(broker, film, folder, _STALLING, note)
    return max(later - sooner for sooner, later in pairwise(times_s))


def _paint(broker: Broker, film: Path, folder: Path, style: str, on_frame: Callable[[int], None]) -> list[float]:
    """Paint `film` and return when each frame was written."""
    times_s: list[float] = []
    output = folder / "painted.mp4"

    def note(progress: Progress) -> None:
        times_s.append(time.monotonic())
        on_frame(progress.done)

    with (
        closing(open_source(film, steady=True)) as source,
        closing(open_sink(film, output, source.info, SinkOptions())) as sink,
    ):
        job = PaintJob(
            source, sink, style=style, look=Look(), broker=broker, settings=settings(), smoother=TemporalSmoother()
        )
        job.run(note)
        sink.finish()
    output.unlink()
    return times_s
