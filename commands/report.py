"""What a job says of itself: while it runs, and once it is done."""

from dataclasses import asdict, dataclass


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
