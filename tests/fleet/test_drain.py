"""`painter drain`: a machine leaves in the middle of a job, its launcher ends, and the job loses nothing."""

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image

from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from tests.fleet.places import ROOT, environment, painter, running
from tests.waiting import WaitUntil

STYLE = "test-sleep-20"
PHOTOS = 60
HOST = socket.gethostname()
WORK = [sys.executable, "-m", "cli", "work", "--devices", "cpu", "--styles", STYLE]


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_drained_machine_leaves_and_its_frames_are_painted_elsewhere(
    server: EmbeddedServer, transport: Transport, tmp_path: Path, wait_until: WaitUntil
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(PHOTOS):
        Image.new("RGB", (32, 32), (number, 0, 0)).save(photos / f"{number:02}.png")
    env = environment(BROKER_URL=server.url)
    argv = [sys.executable, "-m", "cli", "paint", str(photos), "-s", STYLE, "--json"]
    with ExitStack() as stack:
        first = stack.enter_context(running(WORK, env, tmp_path / "first.log"))
        wait_until(transport.workers, 40, "the first machine")
        job = subprocess.Popen(argv, env={**os.environ, **env}, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        stack.callback(job.kill)
        wait_until(lambda: any(card.painted > 5 for card in transport.streams()), 30, "the first paintings")
        drained = painter("drain", HOST, env=env)
        assert drained.returncode == 0, drained.stderr
        assert transport.workers() == []
        assert first.wait(20) == 0, (tmp_path / "first.log").read_text()
        stack.enter_context(running(WORK, env, tmp_path / "second.log"))
        out, _ = job.communicate(timeout=60)
    assert job.returncode == 0
    report = json.loads(out.strip().splitlines()[-1])
    assert (report["frames"], report["failed"]) == (PHOTOS, 0)
    assert len(list((tmp_path / f"photos.{STYLE}").iterdir())) == PHOTOS


def test_a_machine_that_is_not_there_is_told_beside_those_that_are(server: EmbeddedServer) -> None:
    done = painter("drain", "nowhere", env=environment(BROKER_URL=server.url))
    assert done.returncode == 2
    assert "no worker on nowhere; there are no workers at all" in done.stderr
