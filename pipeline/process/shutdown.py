"""The way out: what is tidied up there waits for nobody longer than it says, whatever became of server or disk.

What is still under way then goes on in a thread that does not keep the process, and finds nothing left to do.
"""

import threading
import time
from collections.abc import Callable, Collection

_begun = False


def begin() -> None:
    """Note that this process is leaving; a signal handler may. Whoever asked a server waits for it but once more."""
    global _begun
    _begun = True


def has_begun() -> bool:
    """Whether this process is leaving."""
    return _begun


def within(seconds: float, part: Callable[[], object]) -> bool:
    """Call `part`, which raises nothing, and wait so long at most. False: it has not ended yet."""
    thread = threading.Thread(target=part, name="leaving", daemon=True)
    thread.start()
    return joined([thread], seconds)


def joined(threads: Collection[threading.Thread], seconds: float) -> bool:
    """Wait so long, for all threads together, until those that were started have ended. False: one has not."""
    end_s = time.monotonic() + seconds
    for thread in threads:
        if thread.is_alive():
            thread.join(max(0.0, end_s - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)
