"""What the page may ask of the producing side. `producer` and `commands` implement it; the command line hands it in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from pipeline.protocol.frame import Look


class Session(Protocol):
    """One browser's camera."""

    @property
    def streams(self) -> Mapping[str, str]:
        """Style → stream; one entry, or one for each style of the grid."""
        ...

    def offer(self, jpeg: bytes, captured_ms: int) -> None:
        """Take the newest picture, never blocking; `captured_ms` becomes its pts. Raises `WireError` for no JPEG."""
        ...

    def offer_later(self, encode: Callable[[], bytes], size: tuple[int, int], captured_ms: int) -> None:
        """Take the newest picture, of this width and height, as the call that makes its JPEG if it is painted."""
        ...

    def choose(self, styles: Sequence[str], look: Look) -> None:
        """Paint in these styles from the next frame on."""
        ...

    def close(self) -> None:
        """Free everything; idempotent."""
        ...


class Intake(Protocol):
    """Where camera pictures and wishes go."""

    def open(self, name: str, styles: Sequence[str], look: Look) -> Session:
        """Open a session whose streams are named after `name`."""
        ...

    def wish(self, stream: str, style: str, look: Look) -> bool:
        """Change the style and look of a stream somebody else produces. False: no such stream. Raises `ServerGone`."""
        ...


class JobState(StrEnum):
    """Where a batch job is."""

    WAITING = "waiting"
    PAINTING = "painting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A batch job as the page shows it. `total` is None while unknown; `output` is there once it is done.

    `owner`: the visitor who handed it in, "" for a program.
    """

    job: str
    name: str
    style: str
    state: JobState
    done: int = 0
    total: int | None = None
    fps: float = 0.0
    message: str = ""
    output: Path | None = None
    owner: str = ""


class Atelier(Protocol):
    """Paints files handed in through the page."""

    def submit(self, source: Path, name: str, style: str, look: Look, owner: str = "") -> str:
        """Queue `source`, called `name` by its user; return the job. Raises `UsageError` for what cannot be painted."""
        ...

    def jobs(self) -> list[JobStatus]:
        """Return all jobs, oldest first."""
        ...

    def cancel(self, job: str) -> bool:
        """End a job and remove its files. False: no such job."""
        ...
