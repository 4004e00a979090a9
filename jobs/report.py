"""What a job reports while it runs and when it is done, and the display that shows it."""

from dataclasses import asdict, dataclass
from typing import Protocol

from jobs.tasks import PaintTask


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


class Display(Protocol):
    """Shows jobs. Called from the jobs' threads."""

    def begin(self, task: PaintTask, total: int | None) -> None: ...
    def update(self, task: PaintTask, progress: Progress) -> None: ...
    def end(self, task: PaintTask, text: str) -> None: ...
    def say(self, text: str) -> None: ...


def counted(number: int | None, noun: str) -> str:
    """Return "1 frame", "2 frames", or "? frames" where nobody knows."""
    return f"{'?' if number is None else number} {noun}{'' if number == 1 else 's'}"
