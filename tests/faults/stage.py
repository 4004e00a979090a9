"""A server, workers, a file and live streams as users run them, each a process of its own, and eyes on all of them.

Invariant: whatever a test does to them, `Stage.close` ends every process it started, and nothing else.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import psutil

from pipeline.errors import PipelineError
from pipeline.protocol.records import StreamRecord
from pipeline.protocol.wire import Limits
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from tests.waiting import wait_until
from viewer.broadcast import Broadcast, Watch

ROOT = Path(__file__).parents[2]
LIMITS = Limits(1 << 22, 1 << 24)
_START_S = 40.0


class Command:
    """One running `painter` command; what it says goes into files."""

    def __init__(self, folder: Path, words: tuple[str, ...], env: Mapping[str, str]) -> None:
        folder.mkdir()
        self._out, self._err = folder / "out", folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(words, cwd=folder, env=env, stdout=out, stderr=err, start_new_session=True)

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> str:
        """What it said so far, on both channels."""
        return self._out.read_text("utf-8", "replace") + self._err.read_text("utf-8", "replace")

    def is_running(self) -> bool:
        return self.process.poll() is None

    def send(self, signum: int) -> None:
        """Send it, and it alone, a signal."""
        self.process.send_signal(signum)

    def end(self, timeout_s: float = 60) -> int:
        """Wait for its end; return its exit code. One that does not end says where each of its threads is."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGCONT)
            self.send(signal.SIGABRT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        raise AssertionError(f"{self.process.args} did not end within {timeout_s:g} s\n{self.said()[-8000:]}")

    def family(self) -> list[psutil.Process]:
        """All it started."""
        return psutil.Process(self.pid).children(recursive=True)

    def report(self) -> dict[str, Any]:
        """The JSON it ended with."""
        found: dict[str, Any] = json.loads(self._out.read_text().strip().splitlines()[-1])
        return found


class Watcher:
    """A viewer of one live stream: every picture it was shown, and when."""

    def __init__(self, broadcast: Broadcast, stream: str) -> None:
        self.seen: list[tuple[float, int]] = []
        self._came = threading.Event()
        self._ended = False
        self.watch: Watch = broadcast.watch(stream, self._came.set)
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave; idempotent."""
        self._ended = True
        self._came.set()
        self._thread.join()
        self.watch.close()

    def is_up_to_date(self, for_s: float = 0.7) -> bool:
        """Whether nothing came for a while: longer than a gap is waited for."""
        return bool(self.seen) and time.monotonic() - self.seen[-1][0] > for_s

    def since(self, then_s: float) -> list[int]:
        """The pictures shown since then."""
        return [seq for at_s, seq in list(self.seen) if at_s >= then_s]

    def stall_s(self, from_s: float) -> float:
        """The longest time without a picture from then to now."""
        times = [from_s, *(at_s for at_s, _ in list(self.seen) if at_s > from_s), time.monotonic()]
        return max(later - earlier for earlier, later in pairwise(times))

    def _look(self) -> None:
        while not self._ended:
            self._came.wait(1)
            self._came.clear()
            if (shot := self.watch.take()) is not None:
                self.seen.append((time.monotonic(), shot.frame.seq))


class Stage:
    """Everything of one test below `folder`."""

    def __init__(self, folder: Path, *, maxmemory_mb: int = 64) -> None:
        # A shell that starts us in the background has Ctrl-C ignored, and every command would inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.folder = folder
        self.server = EmbeddedServer(folder, maxmemory_mb=maxmemory_mb)
        self.server.start()
        self.transport = Transport.connect(self.server.url)
        self._watching = Transport.connect(self.server.url)
        self._broadcast = Broadcast(self._watching, limits=LIMITS)
        self._broadcast.start()
        self._watchers: list[Watcher] = []
        self.commands: list[Command] = []
        self._numbers = count()

    def close(self) -> None:
        for watcher in self._watchers:
            watcher.close()
        self._broadcast.stop()
        for command in reversed(self.commands):
            with suppress(ProcessLookupError):
                command.send(signal.SIGCONT)
                command.send(signal.SIGTERM)
        for command in reversed(self.commands):
            try:
                command.process.wait(20)
            except subprocess.TimeoutExpired:
                command.process.kill()
                command.end()
        self.transport.close()
        self._watching.close()
        self.server.stop()

    # -- what runs ---------------------------------------------------------------------------------------------

    def run(self, *words: str | Path, prefix: tuple[str, ...] = (), **variables: str) -> Command:
        """Start `painter <words>`; `PAINTER_…` variables as keywords."""
        ours = {"PAINTER_TEST_STYLES": "1", "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1"}
        env = {**os.environ, **ours, **variables}
        argv = (*prefix, sys.executable, "-m", "cli", *map(str, words))
        command = Command(self.folder / f"command{next(self._numbers)}", argv, env)
        self.commands.append(command)
        return command

    def work(self, style: str, count: int = 2, url: str = "", **variables: str) -> Command:
        """Start workers under their launcher; return once they serve."""
        before = len(self.worker_pids(style))
        command = self.run(
            "work", "--styles", style, "--workers", count, "--broker", url or self.server.url, **variables
        )
        self.wait(lambda: len(self.worker_pids(style)) >= before + count or not command.is_running(), "workers")
        assert command.is_running(), command.said()
        return command

    def paint(self, clip: Path, style: str, output: Path, *words: str, url: str = "", **variables: str) -> Command:
        """Start painting a file."""
        target = ("-o", output, "--json", "--broker", url or self.server.url)
        return self.run("paint", clip, "--style", style, *target, *words, **variables)

    def live(self, clip: Path, style: str, name: str = "cam", url: str = "", **variables: str) -> Command:
        """Start a live stream that never ends; return once it is painted."""
        words = ("live", "--file", clip, "--loop", "-s", style, "--name", name, "--broker", url or self.server.url)
        command = self.run(*words, **variables)
        self.wait(lambda: (card := self.card(name)) is not None and card.painted > 3, f"stream {name}")
        return command

    def watcher_now(self, stream: str) -> Watcher:
        """Watch a stream, whether there is one or not."""
        watcher = Watcher(self._broadcast, stream)
        self._watchers.append(watcher)
        return watcher

    def watcher(self, stream: str = "cam") -> Watcher:
        """Watch a stream."""
        watcher = self.watcher_now(stream)
        self.wait(lambda: watcher.seen, "a first picture")
        return watcher

    def dismiss(self, watcher: Watcher) -> None:
        """Have a watcher leave."""
        watcher.close()
        self._watchers.remove(watcher)

    # -- what is seen ------------------------------------------------------------------------------------------

    def worker_pids(self, style: str) -> list[int]:
        """The workers of a style that gave a sign of life and live."""
        try:
            return [b.pid for b in self.transport.workers() if b.style == style and psutil.pid_exists(b.pid)]
        except PipelineError:
            return []

    def card(self, stream: str = "cam") -> StreamRecord | None:
        """A stream as viewers see it, None while there is none or no server."""
        try:
            return next((card for card in self.transport.streams() if card.name == stream), None)
        except PipelineError:
            return None

    def live_names(self) -> list[str]:
        """The streams a viewer is shown."""
        return [card.name for card in self._broadcast.streams()]

    def file_card(self) -> StreamRecord | None:
        """The one file that is painted."""
        try:
            return next((card for card in self.transport.streams() if card.mode == "file"), None)
        except PipelineError:
            return None

    def painted(self, frames: int) -> None:
        """Wait until the file has so many painted frames."""
        self.wait(lambda: (card := self.file_card()) is not None and card.painted >= frames, f"{frames} frames")

    def wait(self, condition: Callable[[], object], what: str = "", deadline_s: float = _START_S) -> float:
        """Wait until `condition()` holds; return how long that took."""
        return wait_until(condition, deadline_s, lambda: f"{what}\n{self.all_said()}")

    def wait_s(self, seconds: float) -> None:
        """Let things go on for a while: what is waited for is that nothing happens."""
        until_s = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > until_s, deadline_s=seconds + 5)

    def goes_on(self, watcher: Watcher, within_s: float, pictures: int = 10) -> None:
        """Require that a viewer is shown that many pictures more, the first of them within the time."""
        now_s = time.monotonic()
        self.wait(lambda: len(watcher.since(now_s)) >= pictures, f"{watcher.watch.stream} goes on", within_s + 5)
        assert watcher.stall_s(now_s) < within_s

    def require_sound(self, watcher: Watcher | None = None) -> StreamRecord:
        """Require that each captured frame has one fate, and that a viewer saw them in order; return the stream."""
        card = self.card()
        assert card is not None
        assert sum_holds(card), card
        assert in_order([seq for _, seq in watcher.seen] if watcher else [])
        return card

    def restart_server_empty(self) -> None:
        """Kill the server and start another at the same address."""
        before = self.server.pid
        assert before is not None
        os.kill(before, signal.SIGKILL)

        def is_back() -> bool:
            self.server.poll()
            return self.server.pid != before

        self.wait(is_back, "another server")

    def all_said(self) -> str:
        """The last words of every command."""
        return "\n".join(f"{c.process.args[-8:]}: {c.said()[-1500:]}" for c in self.commands)  # type: ignore[index]


def in_order(seqs: list[int]) -> bool:
    """Whether each picture is newer than the one before."""
    return all(later > earlier for earlier, later in pairwise(seqs))


def sum_holds(card: StreamRecord) -> bool:
    """Whether each captured frame has one fate, and each that was lost one cause."""
    losses = (sum(card.drops.values()), sum(card.failures.values()))
    fates = card.dropped + card.painted + card.failed + card.in_flight
    return card.captured == fates and losses == (card.dropped, card.failed)
