"""Runs `painter` as a user does, in a process of its own, and looks at its server from outside."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.process.config import EMBEDDED_URL_FILE
from pipeline.protocol.records import Heartbeat
from pipeline.server.transport import Transport
from tests.waiting import WaitUntil

_END_S = 50


@dataclass(slots=True)
class Painter:
    """One running `painter` command and its private server."""

    process: "subprocess.Popen[str]"
    runtime: Path
    wait_until: WaitUntil
    before: set[int]

    def transport(self) -> Transport:
        """A connection to its embedded server, as soon as there is one."""
        url = self.runtime / "power-painter" / EMBEDDED_URL_FILE
        self.wait_until(lambda: url.exists() or self.process.poll() is not None, 20, "the embedded server")
        return Transport.connect(url.read_text())

    def painted(self, frames: int) -> None:
        """Wait until so many frames were painted, over all streams."""
        transport = self.transport()
        self.wait_until(
            lambda: sum(card.painted for card in transport.streams()) >= frames or self.process.poll() is not None,
            30,
            f"{frames} painted frames",
        )
        assert self.process.poll() is None, self.process.communicate()

    def workers(self) -> list[Heartbeat]:
        """Its workers."""
        return self.transport().workers()

    def server_pid(self) -> int:
        """The embedded server's process."""
        (pid,) = [p.pid for p in self._family() if "valkey-server" in p.name()]
        return pid

    def kill(self, signum: int = signal.SIGKILL) -> None:
        """Send a signal to the command alone."""
        self.process.send_signal(signum)

    def end(self) -> tuple[int, dict[str, Any], str]:
        """Wait for its end; return exit code, the JSON it ended with (or {}), and what it said."""
        out, said = self.process.communicate(timeout=_END_S)
        last = out.strip().splitlines()[-1:] or ["{}"]
        return self.process.returncode, json.loads(last[0]), said

    def nothing_left(self) -> None:
        """Wait until no process and no socket of it is left."""
        self.wait_until(lambda: not self._family(), 10, "no process left")
        self.wait_until(lambda: not list(self.runtime.rglob("*.sock")), 5, "no socket left")

    def _family(self) -> list[psutil.Process]:
        mark = str(self.runtime)
        found = []
        for process in psutil.process_iter(["pid"]):
            if process.pid in self.before or process.pid in (self.process.pid, os.getpid()):
                continue
            try:
                # The server writes its title over its environment, but works in the folder.
                if process.environ().get("XDG_RUNTIME_DIR") == mark or process.cwd().startswith(mark):
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture
def painter(tmp_path: Path, wait_until: WaitUntil) -> Iterator[Callable[..., Painter]]:
    """`painter("paint", …, PAINTER_X="…")` starts a command; whatever is left of it at the test's end is killed."""
    runtime = tmp_path / "run"
    runtime.mkdir(exist_ok=True)
    started: list[Painter] = []

    def start(*words: str | Path, **variables: str) -> Painter:
        before = {process.pid for process in psutil.process_iter()}
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", *map(str, words)],
            env=_environment(runtime, variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        started.append(Painter(process, runtime, wait_until, before))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()
        for left in one._family():
            left.kill()


def _environment(runtime: Path, variables: Mapping[str, str]) -> dict[str, str]:
    root = Path(__file__).parents[2]
    ours = {"XDG_RUNTIME_DIR": str(runtime), "PAINTER_TEST_STYLES": "1", "PYTHONPATH": str(root)}
    return {**os.environ, **ours, **variables}
