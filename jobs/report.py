"""What a job reports while it runs and when it is done, and the display that shows it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Protocol

from jobs.tasks import PaintTask
from pipeline.errors import PipelineError


@dataclass(frozen=True, slots=True)
class Progress:
    """A job's state for the progress display. `total` is None while unknown."""

    done: int
    total: int | None
    fps: float
    in_flight: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a finished job says of itself. `frames` counts what this run wrote, `resumed` what an earlier one had."""

    source: str
    output: str
    style: str
    frames: int
    resumed: int
    seconds: float
    fps: float
    delay_p50_ms: float | None
    delay_p95_ms: float | None
    resubmitted: int
    duplicates: int

    def as_json(self) -> dict[str, object]:
        """Return the report as plain values."""
        return asdict(self)


class State(StrEnum):
    """What became of one task."""

    PAINTED = "painted"
    #: Nothing to do: the output is there, made from the same.
    FINISHED = "finished"
    #: The output is there; parts of its source could not be read.
    DAMAGED = "damaged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one task. `reason`: in one line, "" where there is nothing to say."""

    task: PaintTask
    state: State
    reason: str = ""
    report: Report | None = None
    error: PipelineError | None = None

    @property
    def is_bad(self) -> bool:
        """Whether the command's exit code has to say so."""
        return self.state in (State.FAILED, State.DAMAGED)

    def as_json(self) -> dict[str, object]:
        """Return what became of the file as plain values."""
        task = self.task
        output = str(task.output) if task.output.name else ""
        return {
            "source": str(task.source), "style": task.style.name, "output": output, "state": str(self.state),
            "reason": self.reason,
        }  # fmt: skip


class Display(Protocol):
    """Shows jobs. Called from the jobs' threads."""

    def begin(self, task: PaintTask, total: int | None) -> None: ...
    def update(self, task: PaintTask, progress: Progress) -> None: ...
    def end(self, task: PaintTask, text: str) -> None: ...
    def say(self, text: str) -> None: ...


def counted(number: int | None, noun: str) -> str:
    """Return "1 frame", "2 frames", or "? frames" where nobody knows."""
    return f"{'?' if number is None else number} {noun}{'' if number == 1 else 's'}"


def rate(per_s: float, noun: str) -> str:
    """Return a speed in the words of what is painted: "24.0 FPS", "1.5 photos/s"."""
    return f"{per_s:.1f} FPS" if noun == "frame" else f"{per_s:.1f} {noun}s/s"


def closing_lines(outcomes: Sequence[Outcome], seconds: float) -> list[str]:
    """Return how a batch ended: one line of counts, and one for each file that went wrong."""
    counts = {state: sum(outcome.state is state for outcome in outcomes) for state in State}
    words = {
        State.PAINTED: "painted", State.FINISHED: "finished before", State.DAMAGED: "painted in part",
        State.FAILED: "failed",
    }  # fmt: skip
    parts = ", ".join(f"{counts[state]} {word}" for state, word in words.items() if counts[state])
    bad = [outcome for outcome in outcomes if outcome.is_bad]
    return [
        f"{counted(len(outcomes), 'file')} in {seconds:.1f} s: {parts}",
        *(f"  {outcome.state:<7}  {outcome.task.label}: {outcome.reason}" for outcome in bad),
    ]
