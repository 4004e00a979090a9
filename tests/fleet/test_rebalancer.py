"""`painter work --follow-demand`: slots go where somebody waits; no two launchers take a style's last two workers."""

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fleet.rebalancer import Rebalancer
from pipeline.protocol.records import Heartbeat, Rename
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from tests.fleet.places import Running, environment, running
from tests.fleet.streams import camera, photos
from tests.waiting import WaitUntil

# 0.3 s a frame: 260 photos are more than a minute's work of one worker.
LONG, OTHER, PLANNED, PHOTOS = "test-sleep-300", "test-sleep-301", "test-sleep-302", 260

Start = Callable[..., Running]


def work(*styles: str, follow: bool = True) -> list[str]:
    """Return a launcher's command line: one worker a style."""
    argv = [sys.executable, "-m", "cli", "work", "--devices", "cpu", "--styles", ",".join(styles)]
    return [*argv, "--follow-demand"] if follow else argv


def paint(folder: Path, style: str) -> list[str]:
    """Return a file job's command line."""
    return [sys.executable, "-m", "cli", "paint", str(folder), "-s", style]


def staff(transport: Transport) -> Counter[str]:
    """Count the workers by style."""
    return Counter(beat.style for beat in transport.workers())


@pytest.fixture
def start(server: EmbeddedServer, tmp_path: Path) -> Iterator[Start]:
    """`start(argv, "its.log")`: run a command of the fleet until the test's end."""
    env = environment(BROKER_URL=server.url, PAINTER_FOLLOW_S=1)
    with ExitStack() as stack:
        yield lambda argv, log=os.devnull: stack.enter_context(running(argv, env, tmp_path / log))


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_long_file_takes_the_idle_styles_slot_and_gives_it_back(
    start: Start, transport: Transport, tmp_path: Path, wait_until: WaitUntil
) -> None:
    start(work(LONG, OTHER), "follows.log")
    start(work(PLANNED, follow=False))
    wait_until(lambda: staff(transport) == {LONG: 1, OTHER: 1, PLANNED: 1}, 40, "the workers")
    job = start(paint(photos(tmp_path / "long", PHOTOS), LONG))
    # The launcher that does not follow keeps its own, though nobody waits for it.
    wait_until(lambda: staff(transport) == {LONG: 2, PLANNED: 1}, 40, "the idle slot")
    wait_until(lambda: all(beat.painted for beat in transport.workers() if beat.style == LONG), 20, "both to paint")
    job.send_signal(signal.SIGINT)
    assert job.wait(20) == 130
    assert start(paint(photos(tmp_path / "short", 3), OTHER)).wait(40) == 0
    assert staff(transport) == {LONG: 1, OTHER: 1, PLANNED: 1}
    said = (tmp_path / "follows.log").read_text()
    assert said.count("makes room for") == 2, said


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_two_launchers_leave_a_live_stream_its_last_worker(
    start: Start, server: EmbeddedServer, transport: Transport, tmp_path: Path, wait_until: WaitUntil
) -> None:
    for name in ("one", "two"):
        start(work(LONG, OTHER), f"{name}.log")
        wait_until(lambda: staff(transport).total() % 2 == 0 and staff(transport), 40, "the workers")
    wait_until(lambda: staff(transport) == {LONG: 2, OTHER: 2}, 40, "both launchers")
    with camera(server.url, OTHER, fps=2):
        wait_until(transport.streams, 10, "the live stream")
        # Long enough that everybody could be of use: 60 s of four workers, and more.
        start(paint(photos(tmp_path / "long", 4 * PHOTOS), LONG))
        served: list[int] = []

        def settled() -> bool:
            now = staff(transport)
            served.append(now[OTHER])
            return now == {LONG: 3, OTHER: 1}

        wait_until(settled, 40, "the spare slot")
        (card,) = [card for card in transport.streams() if card.mode == "live"]
        before = card.painted
        wait_until(
            lambda: settled() and next(c for c in transport.streams() if c.mode == "live").painted > before + 8, 20
        )
        assert min(served) == 1
        assert staff(transport) == {LONG: 3, OTHER: 1}


class PaperFleet:
    """A launcher with one worker; its heirs never arrive."""

    def __init__(self, name: str) -> None:
        self.names = [name]
        self.moved: list[Rename] = []

    def replacement_of(self, name: str, style: str, taken: Iterable[str]) -> str:
        replacement = f"{style}@{name.partition('@')[2]}"
        assert replacement not in taken
        return replacement

    def move(self, rename: Rename) -> None:
        self.moved.append(rename)


def test_of_eight_racing_launchers_one_stays_with_the_live_stream(server: EmbeddedServer, transport: Transport) -> None:
    fleets = [PaperFleet(f"wave@cpu0.host{n}") for n in range(8)]
    transport.send_heartbeat(Heartbeat("starry@cpu0.desk", "starry", "cpu", 1, fps=5.0, busy=1.0))
    for fleet in fleets:
        transport.send_heartbeat(Heartbeat(fleet.names[0], "wave", "cpu", 1, fps=0.5, busy=0.1))
    transport.open_stream("desk", {"maxlen": 4, "style": "wave", "mode": "live"})
    transport.open_stream("film", {"maxlen": 4, "style": "starry", "mode": "file", "frames": 1_000_000})
    together = threading.Barrier(len(fleets))

    def follow(fleet: PaperFleet) -> None:
        now_s = 0
        own = Transport.connect(server.url)
        follower = Rebalancer(own, fleet, ["starry", "wave"], every_s=1, clock=lambda: now_s)
        for now_s in range(20):  # noqa: B007 - the follower's clock
            together.wait(10)
            follower.poll()
        own.close()

    threads = [threading.Thread(target=follow, args=(fleet,)) for fleet in fleets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(len(fleet.moved) for fleet in fleets) == [0, 1, 1, 1, 1, 1, 1, 1]
    assert sorted(move.new for move in transport.moves()) == sorted(
        fleet.moved[0].new for fleet in fleets if fleet.moved
    )


def test_a_launcher_that_was_stopped_over_its_decision_has_lost_its_turn(transport: Transport) -> None:
    move = Rename("wave@cpu0.one", "starry@cpu0.one")
    assert transport.take_turn("one")
    assert not transport.take_turn("two")
    assert not transport.end_turn("two", move)
    assert transport.moves() == []
    assert transport.end_turn("one", move)
    # A reply that was lost is asked for again.
    assert transport.end_turn("one", move)
    assert transport.take_turn("two")
    assert not transport.end_turn("two", None)
    assert transport.moves() == [move]
    transport.end_move(move)
    assert transport.moves() == []
