"""The server is lost, full or frozen under a file and a live stream: the file loses nothing, the stream goes on."""

import os
import signal
import time
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from pipeline.connection import open_client
from pipeline.wire import unpack_stages
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
        # Again and again: what the file itself gives back is room for its next frames.
        stage.wait(lambda: _fill(client) or "at its maxmemory" in job.said(), "the file to back off")
        full_s = time.monotonic()
        stage.wait(lambda: time.monotonic() - full_s > 3)
        assert job.is_running()
        client.delete(*client.keys("ballast*"))
    stage.goes_on(watcher, 3)
    assert job.end() == 0, job.said()
    assert film.is_whole_in(tmp_path / "out.mp4")
    card = stage.require_sound(watcher)
    # 25 a second come in; a second's worth at least had no place.
    assert card.dropped - before.dropped > 25
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
