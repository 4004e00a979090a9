"""Who gets how much of a style's workers: live streams first, no file starved by them, and files all alike."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.sharing import share
from commands.broker import Broker, open_broker
from pipeline.embedded import EmbeddedServer
from pipeline.queues import FILE_TURN
from pipeline.transport import Transport
from pipeline.window import window_size
from tests.conftest import WaitUntil
from tests.fleet.places import environment, running, worker
from tests.fleet.streams import photos

# 60 ms a frame: about 15 a second with everything around it.
STYLE, FRAME_MS = "test-sleep-60", 60
SECONDS = 4.0
# What two neighbouring measurements on a busy machine may differ by.
NOISE = 0.85


@pytest.fixture
def broker(server: EmbeddedServer, transport: Transport, tmp_path: Path, wait_until: WaitUntil) -> Iterator[Broker]:
    """A server with one worker."""
    with running(worker(STYLE), environment(BROKER_URL=server.url), tmp_path / "worker.log"):
        wait_until(transport.workers, 40, "the worker")
        with open_broker(server.url) as opened:
            yield opened


def holds(measured: Callable[[], list[str]]) -> None:
    """Measure up to three times until nothing is wrong: a neighbour that took the cores takes away, it never gives."""
    wrong: list[str] = []
    for _ in range(3):
        if not (wrong := measured()):
            return
    pytest.fail(", ".join(wrong))


@pytest.mark.system
@pytest.mark.timeout(180)
def test_a_live_stream_that_wants_everything_leaves_a_file_every_fifth_frame(broker: Broker) -> None:
    def measured() -> list[str]:
        alone = share(broker, STYLE, 24, SECONDS, with_file=False)
        beside = share(broker, STYLE, 24, SECONDS, with_file=True)
        right = {
            "live rate": beside.live_fps >= alone.live_fps * (1 - 1 / FILE_TURN) * NOISE,
            "file's share": beside.file_fps >= alone.live_fps / FILE_TURN * NOISE,
            # One frame of the file's may come between capture and painting: its turn.
            "delay": beside.delay_p95_ms <= alone.delay_p95_ms / NOISE + FRAME_MS,
        }
        return [f"{what}: {alone}, {beside}" for what, is_right in right.items() if not is_right]

    holds(measured)


@pytest.mark.system
@pytest.mark.timeout(180)
def test_a_live_stream_that_leaves_time_keeps_its_rate_and_the_file_gets_the_rest(broker: Broker) -> None:
    def measured() -> list[str]:
        alone = share(broker, STYLE, 8, SECONDS, with_file=False)
        beside = share(broker, STYLE, 8, SECONDS, with_file=True)
        busiest_fps = 1000 / alone.delay_p50_ms
        right = {
            "live rate": beside.live_fps >= alone.live_fps * NOISE,
            "file's share": beside.file_fps >= (busiest_fps - alone.live_fps) * NOISE,
            # It waits for the file's frame that is being painted, and at its turn for one more.
            "delay": beside.delay_p95_ms <= alone.delay_p95_ms / NOISE + 2 * FRAME_MS / NOISE,
        }
        return [f"{what}: {alone}, {beside}" for what, is_right in right.items() if not is_right]

    holds(measured)


@pytest.mark.system
@pytest.mark.timeout(180)
def test_files_of_several_commands_advance_alike_and_one_that_comes_later_does_not_wait_for_the_first(
    broker: Broker, tmp_path: Path, wait_until: WaitUntil
) -> None:
    env = environment(BROKER_URL=broker.url)
    names = ("one", "two", "three")

    def painted() -> dict[str, int]:
        return {card.name: card.painted for card in broker.transport.streams() if card.painted}

    def advance() -> list[str]:
        before = painted()
        wait_until(lambda: sum(painted().values()) >= sum(before.values()) + 60, 40, "60 more frames")
        shares = sorted(count - before[name] for name, count in painted().items())
        # Each has its window of tickets in one queue, first come first served: none falls back further than that.
        return [] if shares[0] >= sum(shares) / len(names) - window_size(1) else [f"shares {shares}"]

    with ExitStack() as stack:
        for at, name in enumerate(names, start=1):
            argv = [sys.executable, "-m", "cli", "paint", str(photos(tmp_path / name, 400)), "-s", STYLE]
            stack.enter_context(running(argv, env, tmp_path / f"{name}.log"))
            wait_until(lambda at=at: len(painted()) == at, 40, f"{name}'s first painting")
        assert max(painted().values()) < 350, "the last one waited for the first to be done"
        holds(advance)
