"""How the broadcast's thread wakes a task of the event loop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress


def waker(event: asyncio.Event) -> Callable[[], None]:
    """Return a call for any thread that sets `event` on the running loop."""
    loop = asyncio.get_running_loop()

    def wake() -> None:
        # The thread may be one picture behind the end of the loop.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(event.set)

    return wake
