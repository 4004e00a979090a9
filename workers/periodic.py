"""A thread that calls a function every so often until it is stopped. Its owner starts it, stops it and joins it."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

# Longer than any call to the server takes until its client gives up.
_JOIN_S = 10.0


class Periodic:
    """Calls `tick` every `period_s` in a daemon thread; what `tick` raises is logged and the thread goes on."""

    def __init__(self, name: str, period_s: float, tick: Callable[[], None]) -> None:
        self._period_s = period_s
        self._tick = tick
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start calling, at once."""
        self._thread.start()

    def stop(self) -> None:
        """Call no more, and wait for a call that is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        while True:
            try:
                self._tick()
            except Exception:
                log.exception("%s failed; it goes on", self._thread.name)
            if self._stop.wait(self._period_s):
                return
