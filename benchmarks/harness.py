"""What the benchmarks stand on: a private server with workers on it, a picture of a given size, CPU time by process.

Everything runs on one machine; `Harness` owns the server and the workers and ends them.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

import cv2
import numpy as np
import psutil

from pipeline.process.config import settings
from pipeline.protocol.codec import encode_pixels
from pipeline.protocol.frame import Codec
from pipeline.server.app import create_app
from pipeline.server.broker import Broker, open_broker
from workers.local_workers import LocalWorkers
from workers.styles import find_style

WIDTH, HEIGHT = 640, 480
#: What a 640×480 picture of a camera takes at JPEG quality 88 to 95.
PICTURE_BYTES = 60_000

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Plan:
    """How to measure. `clip`: the user's film, None: one made for it; `say`: where a section tells how far it is."""

    quick: bool
    clip: Path | None
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Harness:
    """A server and workers that take tickets. `pids`: process → id, for `cpu_s`."""

    broker: Broker
    pids: Mapping[str, int]


@contextmanager
def private_settings() -> Iterator[None]:
    """Have a server of our own, and the stand-ins, whatever the environment says; for this process and its children."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        # One thread an engine, as in what it is compared with. On two cores a second one waits busily beside the
        # encoder: 7 ms of CPU a film frame (34 frames/s became 29.5).
        told = {"XDG_RUNTIME_DIR": folder, "PAINTER_TEST_STYLES": "1", "PAINTER_THREADS": "1"}
        before = {name: os.environ.pop(name, None) for name in (*told, "BROKER_URL")}
        os.environ.update(told)
        settings.cache_clear()
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
            settings.cache_clear()


@contextmanager
def harness(style: str, workers: int, *, events: bool = False) -> Iterator[Harness]:
    """Yield a server with `workers` workers of `style`; `events`: they send task events, as under Flower."""
    with open_broker() as broker, LocalWorkers(broker, [find_style(style)], workers, lambda _: None):
        if events:
            app = create_app(broker.url)
            app.control.enable_events()
            app.close()
        pids = {f"worker {number}": beat.pid for number, beat in enumerate(broker.transport.workers(), 1)}
        assert broker.embedded is not None, "private_settings gives a server of our own"
        assert broker.embedded.pid is not None, "it runs"
        yield Harness(broker, {"server": broker.embedded.pid, **pids})


def cpu_s(pid: int) -> float:
    """Return the CPU seconds a process has used."""
    used = psutil.Process(pid).cpu_times()
    return float(used.user + used.system)


def rss_mib(pid: int | None = None) -> float:
    """Return the MiB a process holds, ours by default."""
    return round(float(psutil.Process(pid).memory_info().rss) / (1 << 20), 1)


def picture(size_bytes: int = PICTURE_BYTES) -> bytes:
    """Return a 640×480 JPEG of exactly `size_bytes`, filled up behind its end, where decoders stop."""
    rough = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
    pixels = np.asarray(cv2.resize(rough, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8)
    jpeg = next(
        found
        for quality in range(95, 4, -5)
        if len(found := encode_pixels(pixels, Codec.MJPEG, quality=quality)) <= size_bytes
    )
    return jpeg + bytes(size_bytes - len(jpeg))


def turns(plan: Plan, ways: Mapping[str, Callable[[], Found]], rounds: int) -> dict[str, list[Found]]:
    """Measure each way so many times, one after the other again and again: what changes beside us changes for all."""
    found: dict[str, list[Found]] = {name: [] for name in ways}
    for number in range(1, rounds + 1):
        for name, measure in ways.items():
            plan.say(f"{name}, {number} of {rounds}")
            found[name].append(measure())
    return found


def spread(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    """Return median, least and most."""
    return {
        "median": round(median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
    }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99."""
    return {f"p{percent}": round(float(np.percentile(values, percent)), 2) for percent in (50, 95, 99)}


def root() -> Path:
    """Return the project's folder."""
    return Path(__file__).parent.parent
