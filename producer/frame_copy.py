"""A frame kept by its producer until it is written, and how often it failed. Pure.

An attempt counts once a worker: a broken one is idle sooner than the others and takes the same frame again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class FrameCopy:
    """One frame. `document` is emptied once its painting has arrived; `sent_s`: when it was first sent (monotonic)."""

    document: bytes
    version: int
    sent_s: float
    failures: int = 0
    # Workers that raised over it, each once, and those that died over it, whoever they were.
    failed_by: set[str] = field(default_factory=set)
    deaths: int = 0
    arrived: bool = False

    def note_failure(self, failed_by: Iterable[str], *, handed_back: bool) -> None:
        """Count one failure. `failed_by`: all workers that said so, of this time and before."""
        self.failures += 1
        if handed_back and failed_by:
            self.failed_by |= set(failed_by)
        else:
            self.deaths += 1

    def is_hopeless(self, attempts: int, painters: frozenset[str]) -> bool:
        """Whether `attempts` workers failed it, or as many attempts were made and nobody else is there to try."""
        nobody_else = bool(painters) and painters <= self.failed_by
        return self.deaths + len(self.failed_by) >= attempts or (self.failures >= attempts and nobody_else)
