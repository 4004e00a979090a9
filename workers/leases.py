"""The frames this process holds: their leases are renewed while they are painted, and a hung painting ends the process.

A thread of a pool cannot be stopped from outside, so the watchdog's only cure for a hung one is the end of the
process: the lease then runs out, the producer sends the frame again, and the launcher starts a new worker.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from pipeline.errors import ServerFull, ServerGone
from workers.exit_codes import EXIT_HUNG
from workers.periodic import Periodic

log = logging.getLogger(__name__)


class LeaseServer(Protocol):
    """The part of the transport that leases need."""

    def renew(self, stream: str, seq: int, lease_ms: int) -> bool:
        """Hold a claimed frame for `lease_ms` from now."""


@dataclass(slots=True, eq=False)
class Hold:
    """One frame being painted. `alive_s`: when it last showed progress (monotonic)."""

    stream: str
    seq: int
    alive_s: float
    clock: Callable[[], float]

    def progress(self) -> None:
        """Note a sign of life: the watchdog counts from here."""
        self.alive_s = self.clock()


class Leases:
    """All frames held by this process, and the one thread that watches over them."""

    def __init__(
        self,
        server: LeaseServer,
        *,
        lease_s: float,
        renew_s: float,
        hang_s: float,
        clock: Callable[[], float] = time.monotonic,
        end_process: Callable[[int], None] = os._exit,
    ) -> None:
        self._server = server
        self._lease_ms = round(lease_s * 1e3)
        self._hang_s = hang_s
        self._clock = clock
        self._end_process = end_process
        self._lock = threading.Lock()
        self._held: set[Hold] = set()
        self._ticker = Periodic("leases", renew_s, self.tick)

    @property
    def lease_ms(self) -> int:
        """How long a claim, and each renewal, holds a frame."""
        return self._lease_ms

    def start(self) -> None:
        """Start renewing."""
        self._ticker.start()

    def stop(self) -> None:
        """Stop renewing; what is still held runs out."""
        self._ticker.stop()

    @contextmanager
    def hold(self, stream: str, seq: int) -> Iterator[Hold]:
        """Renew the lease of a claimed frame until the block ends."""
        held = Hold(stream, seq, self._clock(), self._clock)
        with self._lock:
            self._held.add(held)
        try:
            yield held
        finally:
            with self._lock:
                self._held.discard(held)

    def tick(self) -> None:
        """End the process if a painting hangs, else renew every lease."""
        with self._lock:
            held = list(self._held)
        now = self._clock()
        for hold in held:
            if now - hold.alive_s > self._hang_s:
                log.critical("stream=%s seq=%d painting hangs since %.1f s; this worker ends",
                             hold.stream, hold.seq, now - hold.alive_s)  # fmt: skip
                self._end_process(EXIT_HUNG)
                return
        for hold in held:
            self._renew(hold)

    def _renew(self, hold: Hold) -> None:
        try:
            self._server.renew(hold.stream, hold.seq, self._lease_ms)
        except (ServerGone, ServerFull) as error:
            # Not the worker's end: the producer resends what ran out, and publish drops the duplicate.
            log.warning("stream=%s seq=%d lease not renewed: %s", hold.stream, hold.seq, error)
