"""Work that goes on beside a measurement, each part in a thread that one owner starts, stops and joins."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def background_load(*parts: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run `parts` until the end of the block, which sets the event they are given and waits for them."""
    ended = threading.Event()
    threads = [threading.Thread(target=part, args=(ended,)) for part in parts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def beats(fps: float, ended: threading.Event) -> Iterator[None]:
    """Come back `fps` times a second until `ended`, on time on average however long each turn takes."""
    due_s = time.monotonic()
    while not ended.wait(max(0.0, due_s - time.monotonic())):
        yield
        due_s += 1 / fps
