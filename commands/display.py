"""What a user sees while files are painted: bars on a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from jobs.report import Display, counted, rate
from jobs.report import Progress as JobProgress
from jobs.tasks import PaintTask

# Often enough to see that it goes on, seldom enough for a log.
_LINE_S = 2.0
# The speed of the whole is that of the last half minute: long enough to hold the pauses between short files.
_SPEED_S = 30.0

Totals = Mapping[PaintTask, int | None]


def _speed(progress: JobProgress, noun: str) -> str:
    """Nothing is said of a speed before there is one."""
    in_flight = f"{progress.in_flight} in flight"
    return f"{rate(progress.fps, noun)}, {in_flight}" if progress.fps else in_flight


def duration(seconds: float) -> str:
    """Return a time to wait in words: "40 s", "12 min", "2 h 05 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


@contextmanager
def display(totals: Totals) -> Iterator[Display]:
    """Yield the display that fits standard error; standard output stays for results. `totals`: of every task."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield Lines(totals)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, expand=True) as bars:
        yield Bars(bars, totals)


class Overall:
    """All tasks together: what is done of the work this run has to do, and how long the rest takes."""

    def __init__(self, totals: Totals, clock: Callable[[], float] = time.monotonic) -> None:
        self._totals = dict(totals)
        self._clock = clock
        self._start: dict[PaintTask, int] = {}
        self._done: dict[PaintTask, int] = {}
        self._marks: deque[tuple[float, int]] = deque([(clock(), 0)])
        self.ended = 0

    @property
    def files(self) -> str:
        """How many files are done, of how many."""
        return f"{self.ended}/{len(self._totals)} files"

    @property
    def done(self) -> int:
        """Frames painted in this run."""
        return sum(self._done.values())

    @property
    def total(self) -> int | None:
        """Frames this run has to paint, None while that of a file is unknown."""
        known = [total for total in self._totals.values() if total]
        return sum(known) - sum(self._start.values()) if len(known) == len(self._totals) else None

    def update(self, task: PaintTask, progress: JobProgress) -> None:
        """Note how far a task is. What an earlier run painted of it is no work of this one."""
        start = self._start.setdefault(task, max(0, progress.done - 1))
        self._done[task] = progress.done - start
        self._totals[task] = progress.total or self._totals.get(task)
        now_s = self._clock()
        self._marks.append((now_s, self.done))
        while now_s - self._marks[0][0] > _SPEED_S and len(self._marks) > 2:
            self._marks.popleft()

    def end(self, task: PaintTask) -> None:
        """Note that a task is over: what it did not do is not to be waited for."""
        self.ended += 1
        self._totals[task] = self._start.get(task, 0) + self._done.get(task, 0) or 1
        self._done.setdefault(task, 1)

    def left_s(self) -> float | None:
        """Return the seconds the rest takes at the present speed, None where that is not known."""
        (since_s, before), (now_s, done) = self._marks[0], self._marks[-1]
        if (total := self.total) is None or done <= before or now_s <= since_s:
            return None
        return max(0, total - self.done) * (now_s - since_s) / (done - before)


class Bars:
    """rich's bars: one a job, and one over all when there are several."""

    def __init__(self, bars: Progress, totals: Totals) -> None:
        self._bars = bars
        self._rows: dict[PaintTask, TaskID] = {}
        self._overall = Overall(totals)
        self._all = bars.add_task("all", total=self._overall.total, speed="", visible=len(totals) > 1)

    def begin(self, task: PaintTask, total: int | None) -> None:
        """Show a job's bar."""
        label = f"{task.source.name} [dim]→[/] {task.style.name}"
        self._rows[task] = self._bars.add_task(label, total=total, speed="")

    def update(self, task: PaintTask, progress: JobProgress) -> None:
        """Move a job's bar."""
        speed = _speed(progress, task.noun)
        self._bars.update(self._rows[task], completed=progress.done, total=progress.total, speed=speed)
        self._overall.update(task, progress)
        self._move_all()

    def end(self, task: PaintTask, text: str) -> None:
        """Say how a job ended; its bar goes."""
        if (row := self._rows.pop(task, None)) is not None:
            self._bars.remove_task(row)
        self._overall.end(task)
        self._move_all()
        self.say(text)

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._bars.console.print(text, markup=False, soft_wrap=True)

    def _move_all(self) -> None:
        overall = self._overall
        self._bars.update(self._all, completed=overall.done, total=overall.total, speed=overall.files)


class Lines:
    """One line a job every two seconds."""

    def __init__(self, totals: Totals, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_s: dict[PaintTask, float] = {}
        self._overall = Overall(totals, clock)
        self._are_many = len(totals) > 1

    def begin(self, task: PaintTask, total: int | None) -> None:
        """Say that a job begins; how far it is comes later, once there is a speed to tell."""
        self._next_s[task] = self._clock() + _LINE_S
        self.say(f"{task.label}: {counted(total, task.noun)}")

    def update(self, task: PaintTask, progress: JobProgress) -> None:
        """Say how far a job is, at most every two seconds."""
        self._overall.update(task, progress)
        now_s = self._clock()
        if now_s < self._next_s[task]:
            return
        self._next_s[task] = now_s + _LINE_S
        total, eta = progress.total, ""
        if total and progress.fps:
            eta = f", {duration(max(0, total - progress.done) / progress.fps)} left"
        if self._are_many and (left_s := self._overall.left_s()) is not None:
            eta += f"; all files {self._overall.files.removesuffix(' files')}, {duration(left_s)} left"
        counts = f"{progress.done}/{counted(total or None, task.noun)}"
        self.say(f"{task.label}: {counts}, {_speed(progress, task.noun)}{eta}")

    def end(self, task: PaintTask, text: str) -> None:
        """Say how a job ended."""
        self._overall.end(task)
        self.say(text)

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=sys.stderr, flush=True)
