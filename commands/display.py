"""What a user sees while files are painted: bars on a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from jobs.report import Display, counted
from jobs.report import Progress as JobProgress
from jobs.tasks import PaintTask

# Often enough to see that it goes on, seldom enough for a log.
_LINE_S = 2.0


def _speed(progress: JobProgress) -> str:
    """Nothing is said of a speed before there is one."""
    in_flight = f"{progress.in_flight} in flight"
    return f"{progress.fps:.1f} FPS, {in_flight}" if progress.fps else in_flight


@contextmanager
def display(tasks: int) -> Iterator[Display]:
    """Yield the display that fits standard error; standard output stays for results."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield Lines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, expand=True) as bars:
        yield Bars(bars, tasks)


class Bars:
    """rich's bars: one a job, and one over all when there are several."""

    def __init__(self, bars: Progress, tasks: int) -> None:
        self._bars = bars
        self._rows: dict[PaintTask, TaskID] = {}
        self._frames: dict[PaintTask, tuple[int, int]] = {}
        self._tasks = tasks
        self._all = bars.add_task("all", total=None, speed="", visible=tasks > 1)

    def begin(self, task: PaintTask, total: int | None) -> None:
        """Show a job's bar."""
        label = f"{task.source.name} [dim]→[/] {task.style.name}"
        self._rows[task] = self._bars.add_task(label, total=total, speed="")
        self._frames[task] = (0, total or 0)

    def update(self, task: PaintTask, progress: JobProgress) -> None:
        """Move a job's bar."""
        speed = _speed(progress)
        self._bars.update(self._rows[task], completed=progress.done, total=progress.total, speed=speed)
        self._frames[task] = (progress.done, progress.total or 0)
        done, total = (sum(column) for column in zip(*self._frames.values(), strict=True))
        self._bars.update(
            self._all, completed=done, total=total or None, speed=f"{len(self._frames)}/{self._tasks} files"
        )

    def end(self, task: PaintTask, text: str) -> None:
        """Say how a job ended; its bar goes."""
        if (row := self._rows.pop(task, None)) is not None:
            self._bars.remove_task(row)
        self.say(text)

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._bars.console.print(text, markup=False, soft_wrap=True)


class Lines:
    """One line a job every two seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_s: dict[PaintTask, float] = {}

    def begin(self, task: PaintTask, total: int | None) -> None:
        """Say that a job begins; how far it is comes later, once there is a speed to tell."""
        self._next_s[task] = self._clock() + _LINE_S
        self.say(f"{task.source.name} → {task.style.name}: {counted(total, 'frame')}")

    def update(self, task: PaintTask, progress: JobProgress) -> None:
        """Say how far a job is, at most every two seconds."""
        now_s = self._clock()
        if now_s < self._next_s[task]:
            return
        self._next_s[task] = now_s + _LINE_S
        total, eta = progress.total, ""
        if total and progress.fps:
            eta = f", {max(0, total - progress.done) / progress.fps:.0f} s left"
        self.say(
            f"{task.source.name} → {task.style.name}: {progress.done}/{counted(total or None, 'frame')}, "
            f"{_speed(progress)}{eta}"
        )

    def end(self, task: PaintTask, text: str) -> None:
        """Say how a job ended."""
        self.say(text)

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=sys.stderr, flush=True)
