"""A rolling upgrade: workers of this release leave a later one's tickets to later workers, and lose nobody's frames."""

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.protocol.wire import WIRE_VERSION, Ticket, pack_frame
from pipeline.server.app import create_app, message_of
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from tests.fleet.places import FRAME, environment, painter, running, worker
from tests.fleet.streams import photos
from tests.waiting import WaitUntil

STYLE = "test-sleep-50"
QUEUE = f"style.{STYLE}"
NEWER = [sys.executable, "-m", "tests.fleet.newer"]
CELERY = ["celery", *"-A pipeline worker -P threads -c 1".split(), "-Q", QUEUE]


def queued(transport: Transport) -> int:
    """Count how often a ticket went to a queue: sent, or given back."""
    return int(transport._redis.info("commandstats").get("cmdstat_lpush", {"calls": 0})["calls"])


def outcome(job: "subprocess.Popen[bytes]", log: Path) -> dict[str, int]:
    """Wait for a job's end and return its report."""
    assert job.wait(50) == 0, log.read_text()
    return dict(json.loads(log.read_text().strip().splitlines()[-1]))


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_newer_releases_frames_wait_for_a_newer_worker_and_nothing_is_lost(
    server: EmbeddedServer, transport: Transport, tmp_path: Path, wait_until: WaitUntil
) -> None:
    env = environment(BROKER_URL=server.url)
    olds, news = tmp_path / "olds.log", tmp_path / "news.log"
    with ExitStack() as stack:
        stack.enter_context(running(worker(STYLE), env, tmp_path / "old.log"))
        wait_until(transport.workers, 40, "the worker")
        paint = ["painter", "paint", "--json", "-s", STYLE]
        old = [sys.executable, "-m", "cli", *paint[1:], str(photos(tmp_path / "old", 80))]
        first = stack.enter_context(running(old, env, olds))
        wait_until(lambda: any(card.painted > 5 for card in transport.streams()), 30, "the first paintings")
        new = [*NEWER, "newer", *paint, str(photos(tmp_path / "new", 40))]
        second = stack.enter_context(running(new, env, news))
        wait_until(lambda: transport.workers()[0].note, 20, "the worker to leave")
        why = f"tickets of version {WIRE_VERSION + 1}, this worker reads up to {WIRE_VERSION}"
        assert why in painter("status", "--json", env=env).stdout
        (idle,) = transport.workers()
        assert (idle.style, idle.away_from) == ("", STYLE)
        # The user who waits is told what for, and so is whoever looks at the fleet.
        told = f"no worker of {STYLE} can read what waits ({why})"
        wait_until(lambda: told in news.read_text(), 20, "the newer job to say so")
        assert f"install the newer power-painter on {idle.host}" in news.read_text()
        assert told in " ".join(painter("status", env=env).stdout.split())
        stack.enter_context(running([*NEWER, "newer", *CELERY, "-n", "new@host"], env, tmp_path / "new.log"))
        reports = [outcome(first, olds), outcome(second, news)]
        # Given back and taken again without end it would be thousands.
        assert queued(transport) <= 80 + 40 + 10 + sum(report["resubmitted"] for report in reports)
    assert [(report["frames"], report["failed"]) for report in reports] == [(80, 0), (40, 0)]
    assert [len(list((tmp_path / f"{name}.{STYLE}").iterdir())) for name in ("old", "new")] == [80, 40]
    assert "leaves its queues" in (tmp_path / "old.log").read_text()


@pytest.mark.system
def test_a_worker_that_left_looks_again_and_serves_what_it_can_read(
    server: EmbeddedServer, transport: Transport, tmp_path: Path, wait_until: WaitUntil
) -> None:
    transport.open_stream("film", {"maxlen": 4, "style": STYLE})
    env = environment(BROKER_URL=server.url)

    def looks() -> int:
        return (tmp_path / "worker.log").read_text().count("leaves its queues")

    with running([*NEWER, "impatient", *CELERY], env, tmp_path / "worker.log"):
        wait_until(transport.workers, 40, "the worker")
        transport.submit("film", 0, pack_frame(FRAME), message_of(create_app(server.url), STYLE, Later("film", 0, 1)))
        wait_until(lambda: looks() >= 3, 20, "it to look three times")
        assert queued(transport) <= looks() + 3
        # The producer takes its frame back: the ticket is worth nothing any more, and stands in nobody's way.
        transport.abandon("film", [0])
        done = painter("paint", photos(tmp_path / "photos", 3), "-s", STYLE, env=env)
        assert done.returncode == 0, done.stderr
        assert transport.queue_lengths([QUEUE]) == {QUEUE: 0}
        assert [beat.style for beat in transport.workers()] == [STYLE]


@pytest.mark.system
@pytest.mark.timeout(120)
def test_frames_painted_at_another_size_wait_for_a_worker_that_knows_the_brush(
    server: EmbeddedServer, transport: Transport, tmp_path: Path, wait_until: WaitUntil
) -> None:
    env = environment(BROKER_URL=server.url)
    large = tmp_path / "large.png"
    Image.fromarray(np.full((600, 800, 3), 90, np.uint8)).save(large)
    with ExitStack() as stack:
        stack.enter_context(running([*NEWER, "older", *CELERY, "-n", "old@host"], env, tmp_path / "old.log"))
        wait_until(transport.workers, 40, "the older worker")
        small = painter("paint", photos(tmp_path / "small", 3), "-s", STYLE, env=env)
        assert small.returncode == 0, small.stderr
        job = stack.enter_context(
            running(
                [sys.executable, "-m", "cli", "paint", "--json", "-s", STYLE, str(large)], env, tmp_path / "job.log"
            )
        )
        wait_until(lambda: transport.workers()[0].note, 20, "the older worker to leave")
        assert "tickets of version 3, this worker reads up to 2" in transport.workers()[0].note
        stack.enter_context(running([sys.executable, "-m", *CELERY, "-n", "new@host"], env, tmp_path / "new.log"))
        assert outcome(job, tmp_path / "job.log")["frames"] == 1
    with Image.open(tmp_path / f"large.{STYLE}.png") as painted:
        assert painted.size == (800, 600)


class Later(Ticket):
    """A ticket as the next release may write it."""

    def to_args(self) -> list[Any]:
        return [WIRE_VERSION + 1, *super().to_args()[1:], "something new"]
