"""Parts are polled in order until the command is over, and ended in reverse, whatever ended it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jobs.supervisor import Supervisor
from pipeline.errors import WorkerLost


@contextmanager
def part(name: str, said: list[str]) -> Iterator[str]:
    """A part that says when it starts and ends."""
    said.append(f"start {name}")
    try:
        yield name
    finally:
        said.append(f"stop {name}")


def over_after(polls: int) -> tuple[list[float], object]:
    """Waits that are asked for, and what says that it is over after so many of them."""
    waits: list[float] = []

    def is_over(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) > polls

    return waits, is_over


def test_parts_start_in_order_are_polled_in_order_and_end_in_reverse() -> None:
    said: list[str] = []
    waits, is_over = over_after(2)
    with Supervisor(poll_s=0.3) as parts:
        for name in ("server", "workers"):
            parts.enter_context(part(name, said))
            parts.watch(lambda name=name: said.append(f"poll {name}"))
        parts.run(is_over)  # type: ignore[arg-type]
    polls = ["poll server", "poll workers"]
    assert said == ["start server", "start workers", *polls, *polls, "stop workers", "stop server"]
    assert waits == [0.3] * 3


def test_a_part_that_cannot_go_on_ends_all() -> None:
    said: list[str] = []

    def poll() -> None:
        raise WorkerLost("it keeps dying")

    with pytest.raises(WorkerLost), Supervisor() as parts:
        parts.enter_context(part("server", said))
        parts.watch(poll)
        parts.watch(lambda: said.append("never polled"))
        parts.run(lambda _: False)
    assert said == ["start server", "stop server"]


def test_a_command_that_is_over_at_once_polls_nothing() -> None:
    with Supervisor() as parts:
        parts.watch(lambda: pytest.fail("polled"))
        parts.run(lambda _: True)
