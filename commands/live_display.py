"""What a user sees while something live runs: one line that moves on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.status import Status as Spinner

from producer.live_stream import Status

# Often enough to see that it goes on, seldom enough for a log that runs for days.
_LINE_S, _FIRST_S = 10.0, 3.0


@dataclass(frozen=True, slots=True)
class Reading:
    """A look at the stream; `source_trouble` says why no pictures come, if none do."""

    status: Status
    source_trouble: str = ""

    @property
    def trouble(self) -> str:
        """Why nothing is painted, as far as it is known; "" while there is no reason."""
        return self.source_trouble or self.status.absence

    def __str__(self) -> str:
        now, counted = self.status, self.status.counters
        state = self.trouble or f"{now.fps:.1f} FPS in {now.style}, {now.size[0]}×{now.size[1]}"
        return (
            f"{now.stream}: {state} | captured {counted.captured} = dropped {counted.dropped}"
            f" + painted {counted.painted} + failed {counted.failed} + in flight {counted.in_flight}"
        )


class Readout(Protocol):
    """Shows readings."""

    def show(self, reading: Reading) -> None: ...
    def say(self, text: str) -> None: ...


@contextmanager
def readout() -> Iterator[Readout]:
    """Yield the readout that fits standard error."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield Lines()
        return
    with console.status("starting") as spinner:
        yield Line(console, spinner)


class Line:
    """One line that moves."""

    def __init__(self, console: Console, spinner: Spinner) -> None:
        self._console, self._spinner = console, spinner

    def show(self, reading: Reading) -> None:
        """Replace the line."""
        self._spinner.update(str(reading))

    def say(self, text: str) -> None:
        """Print a line above it."""
        self._console.print(text, markup=False, soft_wrap=True)


class Lines:
    """A reading every ten seconds, the first one soon, and each change of trouble."""

    def __init__(self) -> None:
        self._next_s, self._trouble = time.monotonic() + _FIRST_S, ""

    def show(self, reading: Reading) -> None:
        """Print a reading if it is time or news."""
        now_s = time.monotonic()
        if now_s >= self._next_s or reading.trouble != self._trouble:
            self._next_s, self._trouble = now_s + _LINE_S, reading.trouble
            self.say(str(reading))

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=sys.stderr, flush=True)
