"""The one way tests wait: until a condition holds, with a deadline. Nothing here sleeps for a fixed time."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

# Soon at first, for what is nearly there; rarely later, since some conditions look at every process or ask a page.
_POLL_S, _RARELY_S = 0.01, 0.05


class WaitUntil(Protocol):
    """The type of `wait_until`, for tests that take it as a fixture."""

    def __call__(
        self, condition: Callable[[], object], deadline_s: float = ..., what: str | Callable[[], str] = ...
    ) -> float:
        """See `wait_until`."""


def wait_until(condition: Callable[[], object], deadline_s: float = 5.0, what: str | Callable[[], str] = "") -> float:
    """Return once `condition()` holds, with the seconds that took.

    Fails the test after `deadline_s`, saying `what` did not happen; a callable `what` is asked only then.
    """
    began_s = time.monotonic()
    while not condition():
        waited_s = time.monotonic() - began_s
        if waited_s > deadline_s:
            raise AssertionError(f"not within {deadline_s:g} s: {(what() if callable(what) else what) or condition}")
        time.sleep(min(_RARELY_S, _POLL_S + waited_s / 10))
    return time.monotonic() - began_s


async def eventually(
    condition: Callable[[], object], deadline_s: float = 5.0, what: str | Callable[[], str] = ""
) -> float:
    """Do what `wait_until` does on a thread of its own, so that the event loop goes on."""
    return await asyncio.to_thread(wait_until, condition, deadline_s, what)
