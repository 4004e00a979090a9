"""How long until the first painted frame, from nothing, and how much memory it all takes.

Each start is a `painter` of its own: no server, no worker runs yet. No network is kept compiled between starts; the
programs' files may be in the kernel's cache, as after a first try.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil

from benchmarks.files import make_film
from benchmarks.harness import Plan, picture, root, spread, turns
from pipeline.errors import ServerGone, WorkerLost
from pipeline.process.config import EMBEDDED_URL_FILE
from pipeline.process.spawn import painter, spawn
from pipeline.protocol.frame import Look
from pipeline.protocol.wire import Limits
from pipeline.server.app import create_app, message_of
from pipeline.server.transport import Transport
from producer.page_streams import PageStreams

_STYLE = "wave"
_END_S = 60.0
_POLL_S = 0.01
_FILM_FRAMES = 200
_MIB = 1 << 20

#: Seconds to the first painted frame, and memory by process.
Start = tuple[float, dict[str, float]]


def measure(plan: Plan) -> dict[str, object]:
    """Return seconds to the first painted frame, of `paint` and of `up`, and the memory they take then."""
    with tempfile.TemporaryDirectory() as name:
        film = make_film(Path(name) / "film.mp4", _FILM_FRAMES)
        ways: dict[str, Callable[[Path], Start]] = {"paint": partial(_paint, film), "up": _up}
        found = turns(plan, {way: partial(_fresh, first) for way, first in ways.items()}, 1 if plan.quick else 5)
    return {way: _summed(each) for way, each in found.items()}


def _fresh(first_frame: Callable[[Path], Start]) -> Start:
    with tempfile.TemporaryDirectory() as folder:
        return first_frame(Path(folder))


def _summed(each: list[Start]) -> dict[str, object]:
    memories = sorted((memory for _, memory in each), key=lambda memory: memory["together"])
    return {"s": spread([seconds for seconds, _ in each]), "pss_mib": memories[len(memories) // 2]}


def _paint(film: Path, folder: Path) -> Start:
    words = ("paint", str(film), "--style", _STYLE, "--output", str(folder / "out.mp4"))
    with _painter(folder, *words) as (process, transport_of):
        began_s = time.monotonic()
        transport = transport_of()
        _until(lambda: any(card.painted for card in transport.streams()), process)
        seconds = time.monotonic() - began_s
        # Amid its work, when all its buffers are in use.
        _until(lambda: any(card.painted > _FILM_FRAMES // 2 for card in transport.streams()), process)
        return seconds, _memory(process)


def _up(folder: Path) -> Start:
    """All six styles, a worker each, as `painter up` is typed."""
    with _painter(folder, "up", "--no-browser", "--port", "0") as (process, transport_of):
        began_s = time.monotonic()
        transport = transport_of()
        _until(lambda: any(beat.style == _STYLE for beat in transport.workers()), process)
        app = create_app(_url(folder))
        intake = PageStreams(transport, lambda style, ticket: message_of(app, style, ticket), Limits(1 << 24, 1 << 24))
        session = intake.open("bench", [_STYLE], Look())
        try:
            session.offer(picture(), 0)
            _until(lambda: any(card.painted for card in transport.streams()), process)
            return time.monotonic() - began_s, _memory(process)
        finally:
            session.close()
            app.close()


def _url(folder: Path) -> str:
    return _url_file(folder).read_text()


def _url_file(folder: Path) -> Path:
    return folder / "run" / "power-painter" / EMBEDDED_URL_FILE


@contextmanager
def _painter(folder: Path, *words: str) -> Iterator[tuple["subprocess.Popen[bytes]", "_Opener"]]:
    run = folder / "run"
    run.mkdir(mode=0o700, exist_ok=True)
    env = {**os.environ, "PYTHONPATH": str(root()), "XDG_RUNTIME_DIR": str(run), "XDG_CACHE_HOME": str(folder)}
    process = spawn(painter(*words), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    opener = _Opener(folder, process)
    try:
        yield process, opener
    finally:
        opener.close()
        process.terminate()
        process.wait(_END_S)


class _Opener:
    """Connects to a command's own server as soon as there is one."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self._folder, self._process = folder, process
        self._transport: Transport | None = None

    def __call__(self) -> Transport:
        _until(_url_file(self._folder).exists, self._process)
        self._transport = Transport.connect(_url(self._folder))
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
