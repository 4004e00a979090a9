"""Who gets how much of a style's workers: live streams first, no file starved by them, and files all alike."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.sharing import share
from commands.broker import Broker, open_broker
from pipeline.embedded import EmbeddedServer
from pipeline.queues import FILE_TURN
from pipeline.records import StreamCard
from pipeline.transport import Transport
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


@pytest.mark.system
@pytest.mark.timeout(90)
def test_a_live_stream_that_wants_everything_leaves_a_file_every_fifth_frame(broker: Broker) -> None:
    alone = share(broker, STYLE, 24, SECONDS, with_file=False)
    beside = share(broker, STYLE, 24, SECONDS, with_file=True)
    assert beside.live_fps >= alone.live_fps * (1 - 1 / FILE_TURN) * NOISE
    assert beside.file_fps >= alone.live_fps / FILE_TURN * NOISE
    # One frame of the file's may come between capture and painting: its turn.
    assert beside.delay_p95_ms <= alone.delay_p95_ms / NOISE + FRAME_MS


@pytest.mark.system
@pytest.mark.timeout(90)
def test_a_live_stream_that_leaves_time_keeps_its_rate_and_the_file_gets_the_rest(broker: Broker) -> None:
    alone = share(broker, STYLE, 8, SECONDS, with_file=False)
    beside = share(broker, STYLE, 8, SECONDS, with_file=True)
    busiest_fps = 1000 / alone.delay_p50_ms
    assert beside.live_fps >= alone.live_fps * NOISE
    assert beside.file_fps >= (busiest_fps - alone.live_fps) * NOISE
    # It waits for the file's frame that is being painted, and at its turn for one more.
    assert beside.delay_p95_ms <= alone.delay_p95_ms / NOISE + 2 * FRAME_MS / NOISE


@pytest.mark.system
@pytest.mark.timeout(120)
def test_files_of_several_commands_advance_alike_and_one_that_comes_later_does_not_wait_for_the_first(
    broker: Broker, tmp_path: Path, wait_until: WaitUntil
) -> None:
    env = environment(BROKER_URL=broker.url)
    names = ("one", "two", "three")

    def cards() -> list[StreamCard]:
        return broker.transport.streams()

    with ExitStack() as stack:
        for at, name in enumerate(names):
            argv = [sys.executable, "-m", "cli", "paint", str(photos(tmp_path / name, 300)), "-s", STYLE]
            stack.enter_context(running(argv, env, tmp_path / f"{name}.log"))
            wait_until(lambda at=at: len([c for c in cards() if c.painted]) == at + 1, 40, f"{name}'s first painting")
        before = {card.name: card.painted for card in cards()}
        wait_until(lambda: sum(card.painted for card in cards()) >= sum(before.values()) + 90, 40, "90 more frames")
        shares = sorted(card.painted - before[card.name] for card in cards())
        window = max(card.in_flight for card in cards()) + 1
    assert len(shares) == len(names)
    # Each has its window of tickets in one queue, first come first served: they differ by a window at most.
    assert shares[-1] - shares[0] <= window
    assert max(before.values()) < 200, "the last one waited for the first to be done"
