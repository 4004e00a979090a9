"""How long a job waits for a server that went away or is full, said once for producer and viewer.

Rule, not wire: the caller passes the time and does the sleeping.
"""

import logging
from collections.abc import Callable

from pipeline.errors import PipelineError, ServerGone

log = logging.getLogger(__name__)


class OutageTimer:
    """The server's absence as one party sees it."""

    def __init__(self, wait_s: float, clock: Callable[[], float]) -> None:
        self._wait_s, self._clock = wait_s, clock
        self._since_s: float | None = None

    def record(self, error: PipelineError) -> None:
        """Note a failed call. Raises `ServerGone` once the outage has lasted longer than the job waits."""
        now_s = self._clock()
        if self._since_s is None:
            self._since_s = now_s
            log.warning("%s; waiting up to %.0f s", error, self._wait_s)
        elif now_s - self._since_s > self._wait_s:
            raise ServerGone(f"no server for {self._wait_s:.0f} s: {error}") from error

    def clear(self) -> None:
        """Note a call that worked."""
        if self._since_s is not None:
            log.warning("the server is back after %.1f s", self._clock() - self._since_s)
            self._since_s = None
