"""The server is lost, full or frozen under a file and a live stream: the file loses nothing, the stream goes on."""

import os
import signal
import time
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from pipeline.protocol.records import DropReason
from pipeline.protocol.wire import unpack_stages
from pipeline.server.connection import open_client
from tests.faults.conftest import Film
from tests.faults.stage import Stage

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

SLOW = "test-sleep-30"


def test_a_server_killed_and_back_empty(stage: Stage, film: Film, tmp_path: Path) -> None:
    watcher, job = film.run_on(stage, SLOW, tmp_path / "out.mp4")
    stage.restart_server_empty()
    # Celery tries again after 2, then 4 s.
    stage.goes_on(watcher, 10)
    assert job.end() == 0, job.said()
    assert film.is_whole_in(tmp_path / "out.mp4")
    stage.require_sound(watcher)


def test_a_server_at_maxmemory(stage: Stage, film: Film, tmp_path: Path) -> None:
    watcher, job = film.run_on(stage, SLOW, tmp_path / "out.mp4")
    before = stage.card()
    assert before is not None
    with open_client(stage.server.url) as client:
        # Again and again, to the end: what the file itself gives back is room for the next frames, also the stream's.
        stage.wait(lambda: _fill(client) or "at its maxmemory" in job.said(), "the file to back off")
        full_s = time.monotonic()
        stage.wait(lambda: _fill(client) or time.monotonic() - full_s > 3)
        assert job.is_running()
        client.delete(*client.keys("ballast*"))
    stage.goes_on(watcher, 3)
    assert job.end() == 0, job.said()
    assert film.is_whole_in(tmp_path / "out.mp4")
    card = stage.require_sound(watcher)
    # 25 a second come in; a second's worth at least had no place.
    assert card.dropped - before.dropped > 25
    assert card.drops[DropReason.SERVER] > 25
    # Only what was on its way at that moment: a window of three, and a ticket that found no room.
    assert card.failed - before.failed <= 5


def test_a_server_frozen_for_ten_seconds(stage: Stage, film: Film, tmp_path: Path) -> None:
    watcher, job = film.run_on(stage, SLOW, tmp_path / "out.mp4")
    assert stage.server.pid is not None
    os.kill(stage.server.pid, signal.SIGSTOP)
    frozen_s = time.monotonic()
    try:
        stage.wait(lambda: time.monotonic() - frozen_s > 10)
    finally:
        os.kill(stage.server.pid, signal.SIGCONT)
    stage.goes_on(watcher, 10)
    with open_client(stage.server.url) as client:
        assert client.pttl("unacked_mutex") <= 10_000, "Celery's redelivery goes on soon too"
    assert job.end() == 0, job.said()
    assert film.is_whole_in(tmp_path / "out.mp4")
    stage.require_sound(watcher)
    stage.wait(lambda: _delay_ms(stage) < 500, "the delay of before", 10)


def test_whoever_is_stopped_while_the_server_stands_still_ends_soon(stage: Stage, film: Film, tmp_path: Path) -> None:
    """A call that waits for an answer is given up within its 5 s, none is made again, and good-byes wait 2 s."""
    _, job = film.run_on(stage, SLOW, tmp_path / "out.mp4")
    view = stage.run("view", "--port", "0", "--broker", stage.server.url)
    stage.wait(lambda: "http://" in view.said() or not view.is_running(), "the page")
    live = next(command for command in stage.commands if "live" in command.process.args)  # type: ignore[operator]
    assert stage.server.pid is not None
    os.kill(stage.server.pid, signal.SIGSTOP)
    try:
        # Every one of them asks something at least once a second.
        stage.wait_s(1)
        asked_s = time.monotonic()
        leaving = {"paint": job, "live": live, "view": view}
        for command in leaving.values():
            command.send(signal.SIGINT)
        took_s = {}
        while left := leaving.keys() - took_s.keys():
            took_s |= {name: time.monotonic() - asked_s for name in left if not leaving[name].is_running()}
            assert time.monotonic() - asked_s < 60, (took_s, stage.all_said())
            time.sleep(0.05)
    finally:
        os.kill(stage.server.pid, signal.SIGCONT)
    assert [command.end() for command in leaving.values()] == [130] * 3, stage.all_said()
    assert "Traceback" not in stage.all_said()
    assert max(took_s.values()) < 12, took_s


def _fill(client: "redis.Redis") -> None:
    """Take all memory the server may use, down to the last hundred bytes."""
    size = 1 << 20
    while size > 64:
        try:
            client.set(f"ballast{uuid4().hex}", b"x" * size)
        except redis.OutOfMemoryError:
            size //= 2


def _delay_ms(stage: Stage) -> int:
    """How long the newest painting took from queue to publication, by the server's clock."""
    newest = stage.transport.newest("cam")
    assert newest is not None
    return newest.published_ms - unpack_stages(newest.stages).sent_ms
