"""A worker is lost in every way there is, while a file and a live stream share it: the file has every frame once and
in order, the live stream counts what was lost and goes on.
"""

import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.faults.conftest import Film
from tests.faults.proxy import PASS, Command, Fate, Proxy
from tests.faults.stage import Stage

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

# Holds a slot as a card would; no core is busy meanwhile.
SLOW = "test-sleep-30"
# The promise: a lease of 1.5 s, and the look at it.
STALL_S = 2.0


def test_a_worker_killed_while_it_paints(stage: Stage, film: Film, tmp_path: Path) -> None:
    watcher, job = film.run_on(stage, SLOW, tmp_path / "out.mp4")
    killed_s = time.monotonic()
    os.kill(stage.worker_pids(SLOW)[0], signal.SIGKILL)
    stage.wait(lambda: time.monotonic() - killed_s > 3)
    assert watcher.stall_s(killed_s) < STALL_S
    assert job.end() == 0, job.said()
    assert film.is_whole_in(tmp_path / "out.mp4")
    stage.require_sound(watcher)


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
@pytest.mark.parametrize("moment", ["before publish", "before ack"])
def test_a_worker_killed_at_the_worst_moment(
    stage: Stage, proxy: Proxy, film: Film, tmp_path: Path, moment: str, live: bool
) -> None:
    """`before publish`: it has painted and the server never hears of it. `before ack`: the ticket comes back later."""
    struck = threading.Event()

    def strike(command: Command) -> Fate:
        if struck.is_set() or not command.calls("publish"):
            return PASS
        if command.words[3].startswith(b"inflight:cam") is not live:
            return PASS
        struck.set()
        if moment == "before ack":
            return Fate(swallow=True, then=command.kill_sender)
        command.kill_sender()
        return Fate(answer=b":1\r\n")

    launcher = stage.work(SLOW, url=proxy.url)
    stage.live(film.loop, SLOW)
    watcher = stage.watcher()
    job = stage.paint(film.path, SLOW, tmp_path / "out.mp4")
    stage.painted(20)
    before = stage.card()
    assert before is not None
    proxy.meddle = strike
    stage.wait(struck.is_set, "the blow")
    struck_s = time.monotonic()
    assert job.end() == 0, job.said()
    assert film.is_whole_in(tmp_path / "out.mp4")
    assert watcher.stall_s(struck_s) < STALL_S
    report = job.report()
    lost_file_frame = not live and moment == "before publish"
    assert report["resubmitted"] >= lost_file_frame
    stage.wait(lambda: "ended with -9; starting it again" in launcher.said(), "another worker")
    assert stage.require_sound(watcher).failed - before.failed == (live and moment == "before publish")


def test_a_worker_that_hangs_at_a_live_frame_is_ended_and_the_stream_goes_on(stage: Stage, film: Film) -> None:
    style = "test-hang-40"
    stage.work(style, PAINTER_HANG_S="2")
    pids = set(stage.worker_pids(style))
    stage.live(film.loop, style)
    watcher = stage.watcher()
    stage.wait(lambda: (card := stage.card()) is not None and card.failed, "the frame given up")
    stage.goes_on(watcher, STALL_S)
    stage.wait(lambda: set(stage.worker_pids(style)) - pids, "another worker")
    assert stage.require_sound(watcher).failed == 1


def test_a_worker_out_of_memory_paints_in_smaller_tiles(stage: Stage, film: Film, tmp_path: Path) -> None:
    """The stand-in has memory for so many pixels; the clip's frames have 12288."""
    style = "test-oom-9999"
    stage.work(style)
    pids = set(stage.worker_pids(style))
    stage.live(film.loop, style)
    job = stage.paint(film.path, style, tmp_path / "out.mp4")
    assert job.end() == 0, job.said()
    assert film.is_whole_in(tmp_path / "out.mp4")
    assert stage.require_sound().failed == 0
    assert set(stage.worker_pids(style)) == pids


def test_a_worker_without_memory_for_the_smallest_tile_says_so_and_lives(
    stage: Stage, film: Film, tmp_path: Path
) -> None:
    style = "test-oom-1"
    stage.work(style)
    pids = set(stage.worker_pids(style))
    job = stage.paint(film.path, style, tmp_path / "out.mp4")
    assert job.end() == 1, job.said()
    # Two workers: which frame fails first is theirs.
    assert re.search(r"frame \d+ could not be painted: MemoryError: CUDA out of memory", job.said())
    assert "Traceback" not in job.said()
    stage.run("live", "--file", film.loop, "--loop", "-s", style, "--name", "cam", "--broker", stage.server.url)
    stage.wait(lambda: (card := stage.card()) is not None and card.failed > 3, "live frames counted failed")
    assert stage.require_sound().failed > 3
    assert set(stage.worker_pids(style)) == pids
