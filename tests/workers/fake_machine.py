"""A machine for the launcher: children that do as told, time as a number, signs of life as a table."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from pipeline.flow.placement import place
from pipeline.protocol.records import Heartbeat
from workers.launch import Launcher


class FakeProcess:
    """A child that does as told. `deaf`: it does not end on SIGTERM."""

    def __init__(self, pid: int, history: list[str], *, deaf: bool) -> None:
        self.pid, self._history, self._deaf = pid, history, deaf
        self.code: int | None = None

    def poll(self) -> int | None:
        return self.code

    def wait(self, timeout: float | None = None) -> int:
        if self.code is None:
            assert timeout is not None, "nobody waits for ever"
            self._history.append(f"wait {self.pid} {timeout:.0f}")
            raise subprocess.TimeoutExpired("worker", timeout)
        self._history.append(f"ended {self.pid}")
        return self.code

    def terminate(self) -> None:
        self._history.append(f"terminate {self.pid}")
        if not self._deaf and self.code is None:
            self.code = 0

    def kill(self) -> None:
        self._history.append(f"kill {self.pid}")
        self.code = -9


class Machine:
    """Spawns fake children, and holds the clock."""

    def __init__(self, *, deaf: bool = False, says: bytes = b"") -> None:
        self.now_s = 0.0
        self.children: list[FakeProcess] = []
        self.commands: list[list[str]] = []
        self.environments: list[Mapping[str, str]] = []
        self.history: list[str] = []
        self._deaf, self._says = deaf, says

    def spawn(
        self, argv: Sequence[str], *, env: Mapping[str, str], stdout: IO[bytes] | None, stderr: int | None
    ) -> FakeProcess:
        self.commands.append(list(argv))
        self.environments.append(env)
        if stdout is not None:
            stdout.write(self._says)
        self.children.append(FakeProcess(100 + len(self.children), self.history, deaf=self._deaf))
        return self.children[-1]

    def fleet(self, styles: Sequence[str] = ("wave",), logs: Path | None = None) -> Launcher:
        plan = place(styles, [], cores=2)
        return Launcher(plan, "redis://here", logs=logs, spawn=self.spawn, clock=lambda: self.now_s)


class Beats:
    """A server that knows of a beat of each pid after so many questions."""

    def __init__(self, machine: Machine, name: str, answers: Sequence[int | None]) -> None:
        self._machine, self._name, self._answers = machine, name, list(answers)

    def workers(self) -> list[Heartbeat]:
        self._machine.now_s += 1
        pid = self._answers.pop(0) if self._answers else None
        return [] if pid is None else [Heartbeat(self._name, "wave", "cpu", 1, pid=pid)]
