"""The parts of a running command: started in order, polled while it runs, ended in reverse.

A part's `poll` restarts what it can and raises `PipelineError` for what it cannot; then everything ends.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack

from pipeline.server.broker import Broker, open_broker

# A worker that died is seen within this time; one poll of all parts takes under a millisecond.
_POLL_S = 0.2


class Supervisor(ExitStack):
    """Owner of a command's parts. Enter each with `enter_context`, in order, and `watch` those that need polling."""

    def __init__(self, poll_s: float = _POLL_S) -> None:
        """`poll_s`: time between two polls, at most."""
        super().__init__()
        self._poll_s = poll_s
        self._polls: list[Callable[[], object]] = []

    def watch(self, poll: Callable[[], object]) -> None:
        """Call `poll` again and again while the command runs, after those watched before."""
        self._polls.append(poll)

    def open_server(self, url: str) -> Broker:
        """Enter the server at `url`, see `open_broker`, and watch it where it is ours."""
        broker: Broker = self.enter_context(open_broker(url))
        if broker.embedded is not None:
            self.watch(broker.embedded.poll)
        return broker

    def run(self, is_over: Callable[[float], bool]) -> None:
        """Poll until `is_over` returns True. It waits as many seconds as it is given, or less when it is over."""
        while not is_over(self._poll_s):
            for poll in self._polls:
                poll()


def pause(seconds: float) -> bool:
    """Wait. Return False: a command that runs until it is stopped is never over."""
    time.sleep(seconds)
    return False
