"""How long until the first painted frame, from nothing, and how much memory it all takes.

Each start is a `painter` of its own with an empty cache folder or one that holds the compiled network.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.files import make_film
from benchmarks.ground import picture, root, spread
from pipeline.app import create_app, message_of
from pipeline.config import EMBEDDED_URL_FILE
from pipeline.errors import ServerGone, WorkerLost
from pipeline.frame import Look
from pipeline.spawn import spawn
from pipeline.transport import Transport
from pipeline.wire import Limits
from producer.intake import LiveIntake

_STYLE = "wave"
_END_S = 60.0
_POLL_S = 0.01
_FILM_FRAMES = 200
_MIB = 1 << 20


def measure(quick: bool) -> dict[str, object]:
    """Return seconds to the first painted frame, of `paint` and of `up`, with and without a cache; and memory."""
    rounds = 1 if quick else 3
    found: dict[str, object] = {}
    for command, first_frame in {"paint": _paint, "up": _up}.items():
        cold: list[float] = []
        warm: list[float] = []
        memory: dict[str, float] = {}
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as cache:
                cold.append(first_frame(Path(cache))[0])
                seconds, memory = first_frame(Path(cache))
                warm.append(seconds)
        found[command] = {"empty cache, s": spread(cold), "s": spread(warm), "pss_mib": memory}
    return found


def _paint(cache: Path) -> tuple[float, dict[str, float]]:
    with tempfile.TemporaryDirectory() as name:
        film = make_film(Path(name) / "film.mp4", _FILM_FRAMES)
        words = ["paint", str(film), "--style", _STYLE, "--output", str(Path(name) / "out.mp4")]
        with _painter(cache, *words) as (process, transport_of):
            began_s = time.monotonic()
            transport = transport_of()
            _until(lambda: any(card.painted for card in transport.streams()), process)
            return time.monotonic() - began_s, _memory(process)


def _up(cache: Path) -> tuple[float, dict[str, float]]:
    with _painter(cache, "up", "--styles", _STYLE, "--no-browser", "--port", "0") as (process, transport_of):
        began_s = time.monotonic()
        transport = transport_of()
        _until(lambda: any(beat.style == _STYLE for beat in transport.workers()), process)
        app = create_app(_url(cache))
        intake = LiveIntake(transport, lambda style, ticket: message_of(app, style, ticket), Limits(1 << 24, 1 << 24))
        session = intake.open("bench", [_STYLE], Look())
        try:
            session.offer(picture(), 0)
            _until(lambda: any(card.painted for card in transport.streams()), process)
            return time.monotonic() - began_s, _memory(process)
        finally:
            session.close()
            app.close()


def _url(cache: Path) -> str:
    return _url_file(cache).read_text()


def _url_file(cache: Path) -> Path:
    return cache / "run" / "power-painter" / EMBEDDED_URL_FILE


@contextmanager
def _painter(cache: Path, *words: str) -> Iterator[tuple["subprocess.Popen[bytes]", "_Opener"]]:
    run = cache / "run"
    run.mkdir(mode=0o700, exist_ok=True)
    env = {**os.environ, "PYTHONPATH": str(root()), "XDG_RUNTIME_DIR": str(run), "XDG_CACHE_HOME": str(cache)}
    process = spawn(
        [sys.executable, "-m", "cli", *words], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    opener = _Opener(cache, process)
    try:
        yield process, opener
    finally:
        opener.close()
        process.terminate()
        process.wait()


class _Opener:
    """Connects to a command's own server as soon as there is one."""

    def __init__(self, cache: Path, process: "subprocess.Popen[bytes]") -> None:
        self._cache, self._process = cache, process
        self._transport: Transport | None = None

    def __call__(self) -> Transport:
        _until(_url_file(self._cache).exists, self._process)
        self._transport = Transport.connect(_url(self._cache))
        return self._transport

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _until(is_so: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Wait until `is_so`. Raises `WorkerLost` when the command ends before, or never gets there."""
    deadline = time.monotonic() + _END_S
    while True:
        with suppress(ServerGone):
            if is_so():
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise WorkerLost("painter painted no frame")
        time.sleep(_POLL_S)


def _memory(process: "subprocess.Popen[bytes]") -> dict[str, float]:
    """Return the memory of a command's processes, what they share counted once."""
    family = psutil.Process(process.pid)
    found: dict[str, float] = {}
    for one in (family, *family.children(recursive=True)):
        try:
            words, pss_bytes = " ".join(one.cmdline()), one.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue  # one that only helped to start
        name = "worker" if "celery" in words else "server" if "valkey" in words else "command"
        number = sum(known.startswith(name) for known in found) + 1
        found[f"{name} {number}" if name == "worker" else name] = round(pss_bytes / _MIB, 1)
    return {**found, "together": round(sum(found.values()), 1)}
