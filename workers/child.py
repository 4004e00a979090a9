"""One slot's worker process as its launcher sees it: running, to be started again, or out until later or for good.

Pure but for the process it holds and the log file it reads the last words from.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipeline.flow.placement import Slot
from workers.exit_codes import EXIT_CANNOT_START

# As Frigate does it: five deaths in a minute are no accident. The slot then rests, each time twice as long.
_DEATHS, _DEATHS_WITHIN_S = 5, 60.0
_FIRST_REST_S, _LAST_REST_S = 60.0, 900.0
_LOG_TAIL_LINES = 5


class Process(Protocol):
    """What the launcher needs of a child."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


@dataclass(slots=True)
class Child:
    """One slot's worker: its name, its present process, and when it died lately (monotonic).

    `replacement`: who takes its slot once it has left, for which it has until `leave_by_s`. `failure`: why the slot is
    out, "" while it is not; it is tried again at `retry_s` (monotonic; infinity: never).
    """

    slot: Slot
    name: str
    logfile: Path | None
    process: Process | None = None
    deaths_s: deque[float] = field(default_factory=lambda: deque(maxlen=_DEATHS))
    replacement: "Child | None" = None
    leave_by_s: float = 0.0
    failure: str = ""
    retry_s: float = math.inf
    rest_s: float = _FIRST_REST_S

    @property
    def is_final(self) -> bool:
        """Whether the slot is out and not tried again."""
        return bool(self.failure) and self.retry_s == math.inf

    def died(self, code: int, now_s: float) -> bool:
        """Record a death. True: the worker is to be started again at once; False: see `failure`."""
        self.process = None
        if code == EXIT_CANNOT_START:
            # Its last line says why, and whose name it is.
            self.failure = f"a worker cannot start: {self.last_words(1) or self.name}"
            return False
        self.deaths_s.append(now_s)
        if len(self.deaths_s) < _DEATHS or now_s - self.deaths_s[0] > _DEATHS_WITHIN_S:
            return True
        head = f"worker {self.name} died {_DEATHS} times within {_DEATHS_WITHIN_S:.0f} s, last with {code}"
        self.rest(f"{head}: {self.last_words(_LOG_TAIL_LINES) or 'it said nothing'}", now_s)
        return False

    def rest(self, failure: str, now_s: float) -> None:
        """Take the slot out for a while, each time for twice as long."""
        self.failure, self.retry_s = failure, now_s + self.rest_s
        self.rest_s = min(2 * self.rest_s, _LAST_REST_S)
        self.deaths_s.clear()

    def last_words(self, lines: int) -> str:
        """Return the last lines of the log file, "" where there are none."""
        if self.logfile is None or not self.logfile.exists():
            return ""
        said = [line.strip() for line in self.logfile.read_text("utf-8", "replace").splitlines() if line.strip()]
        return " | ".join(said[-lines:])
