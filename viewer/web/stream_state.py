"""What is going on with a stream, in the words the page shows. Pure."""

from dataclasses import dataclass
from enum import StrEnum

# Twice what a painting takes on a slow machine: beyond it something is wrong.
STALL_S = 2.0


class State(StrEnum):
    """One stream's state; the values are shown as they are."""

    LIVE = "live"
    WAITING = "waiting for a worker"
    NO_WORKER = "no worker for this style"
    OLD_WORKERS = "workers too old for this stream"
    STALLED = "stalled"
    SERVER_GONE = "server gone"


@dataclass(frozen=True, slots=True)
class Signs:
    """What a state is judged by. `painters`: threads of its style; `are_older`: its workers cannot read its tickets and
    stay out of their queues; `shown_s`: since its last picture came to the page, None before the first."""

    is_connected: bool
    painters: int
    are_older: bool
    shown_s: float | None


def judge(signs: Signs) -> State:
    """Return the state, the most fundamental trouble first."""
    if not signs.is_connected:
        return State.SERVER_GONE
    if signs.painters == 0:
        return State.OLD_WORKERS if signs.are_older else State.NO_WORKER
    if signs.shown_s is None:
        return State.WAITING
    return State.LIVE if signs.shown_s < STALL_S else State.STALLED
