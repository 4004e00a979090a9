"""Real workers: processes started as a user would, on a real server, killed, hung, and left by their parent."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipeline.flow.placement import place
from pipeline.protocol.codec import decode, encode
from pipeline.protocol.frame import Codec, Frame, Look
from pipeline.protocol.records import PaintedEntry
from pipeline.protocol.wire import Limits, Ticket, pack_frame, unpack_frame, unpack_stages
from pipeline.server.app import create_app, message_of
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from tests.waiting import WaitUntil
from tests.workers.tiny import StyleFiles
from workers.exit_codes import EXIT_CANNOT_START, EXIT_HUNG
from workers.launch import Launcher
from workers.openvino_engine import OpenVinoEngine
from workers.stylize import stylize

pytestmark = [pytest.mark.system, pytest.mark.timeout(60)]

LIMITS = Limits(1 << 20, 1 << 22)
FRAME = np.random.default_rng(5).integers(0, 256, (48, 64, 3), np.uint8)


class Desk:
    """A producer and viewer of one stream, as small as can be."""

    def __init__(self, url: str, transport: Transport, style: str) -> None:
        self.transport, self.style = transport, style
        self._app = create_app(url)
        self._last = b"0-0"
        self.open()

    def open(self) -> None:
        """Announce the stream; again after a server that came back empty."""
        self.transport.open_stream("clip", {"maxlen": 50, "style": self.style})

    def send(self, seq: int, *, attempt: int = 1, live: bool = False) -> None:
        """Put one frame in flight."""
        document = pack_frame(encode(Frame(seq, seq, FRAME), Codec.PNG))
        ticket = message_of(self._app, self.style, Ticket("clip", seq, attempt, live=live))
        self.transport.submit("clip", seq, document, ticket)

    def receive(self) -> PaintedEntry:
        """Return the next painted frame."""
        for _ in range(200):
            if found := self.transport.read("clip", self._last, block_ms=100, count=1):
                self._last = found[0].entry_id
                return found[0]
        pytest.fail("no frame was painted within 20 s")


@contextmanager
def worker(url: str, *queues: str, env: Mapping[str, str] | None = None) -> Iterator["subprocess.Popen[str]"]:
    """A worker as a user types it."""
    argv = [sys.executable, "-m", "celery", "-A", "pipeline", "worker", "-Q", ",".join(queues), "-n", "w@host"]
    process = subprocess.Popen(
        argv, env={**os.environ, "BROKER_URL": url, **(env or {})}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(autouse=True)
def _styles(tiny: StyleFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAINTER_STYLES_DIR", str(tiny.folder))
    monkeypatch.setenv("PAINTER_TEST_STYLES", "1")


def test_a_plain_celery_worker_serves_files_and_live_streams_of_its_style(
    server: EmbeddedServer, transport: Transport, tiny: StyleFiles, wait_until: WaitUntil
) -> None:
    desk = Desk(server.url, transport, "tiny")
    with worker(server.url, "style.tiny") as process:
        desk.send(0)
        desk.send(1, live=True)
        entries = sorted((desk.receive(), desk.receive()), key=lambda entry: entry.seq)
        assert [(entry.kind, entry.seq) for entry in entries] == [("painted", 0), ("painted", 1)]
        painted = decode(unpack_frame(entries[0].frame, LIMITS))
        wanted = stylize(OpenVinoEngine(tiny.export, threads=1), FRAME, Look(), tile_pixels=1 << 30)
        assert np.array_equal(painted, wanted)
        stages = unpack_stages(entries[0].stages)
        assert (stages.style, stages.worker) == ("tiny", "w@host")
        wait_until(transport.workers, what="a sign of life")
        (beat,) = transport.workers()
        assert (beat.name, beat.style, beat.device, beat.threads, beat.pid) == ("w@host", "tiny", "cpu", 1, process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert transport.workers() == []


@pytest.mark.parametrize(
    ("queues", "said"),
    [
        (["style.tony"], "w@host: no style 'tony'; did you mean tiny?"),
        (["celery"], "w@host: a worker serves one style, its queues name none; start it with -Q style.<name>"),
        (["style.tiny", "style.wave"], "w@host: a worker serves one style, its queues name tiny, wave;"),
    ],
    ids=["unknown style", "no style", "two styles"],
)
def test_a_worker_that_cannot_serve_ends_with_one_line_that_says_why(
    server: EmbeddedServer, queues: list[str], said: str
) -> None:
    with worker(server.url, *queues) as process:
        _, errors = process.communicate(timeout=20)
    assert process.returncode == EXIT_CANNOT_START
    assert said in errors
    assert "Traceback" not in errors


def test_a_hung_painting_ends_its_worker(server: EmbeddedServer, transport: Transport) -> None:
    desk = Desk(server.url, transport, "test-hang-3")
    with worker(server.url, "style.test-hang-3", env={"PAINTER_HANG_S": "1"}) as process:
        desk.send(2)
        assert desk.receive().seq == 2
        desk.send(3)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == EXIT_HUNG
    assert "stream=clip seq=3 painting hangs" in errors


def test_a_painting_that_raises_is_handed_back_of_a_file_and_ends_a_live_frame(
    server: EmbeddedServer, transport: Transport, wait_until: WaitUntil
) -> None:
    reason = "RuntimeError: this test style fails here"
    desk = Desk(server.url, transport, "test-raise-3")

    def failures() -> Mapping[int, Mapping[str, str]]:
        return transport.in_flight("clip", "style.test-raise-3").failures

    with worker(server.url, "style.test-raise-3"):
        desk.send(3)
        wait_until(failures, 30, "the frame to be handed back")
        assert failures() == {3: {"w@host": reason}}
        transport.abandon("clip", [3])
        desk.open()
        desk.send(3, live=True)
        entry = desk.receive()
    assert (entry.kind, entry.seq, entry.reason) == ("failed", 3, reason)


def test_a_worker_outlives_its_server_and_serves_the_next_one(
    server: EmbeddedServer, transport: Transport, wait_until: WaitUntil
) -> None:
    desk = Desk(server.url, transport, "test-identity")
    with worker(server.url, "style.test-identity") as process:
        desk.send(0)
        assert desk.receive().seq == 0
        server.stop()
        server.start()
        again = Desk(server.url, transport, "test-identity")
        again.send(1)
        assert again.receive().seq == 1
        wait_until(transport.workers, what="a sign of life on the new server")
        assert process.poll() is None


def test_the_launcher_brings_back_a_worker_that_was_killed(
    server: EmbeddedServer, transport: Transport, tmp_path: Path, wait_until: WaitUntil
) -> None:
    desk = Desk(server.url, transport, "test-identity")
    with Launcher(place(["test-identity"], [], cores=2), server.url, logs=tmp_path / "logs") as fleet:
        fleet.wait_ready(transport, 30)
        (killed,) = fleet.pids
        os.kill(killed, signal.SIGKILL)

        def is_back() -> bool:
            fleet.poll()
            return fleet.pids != [killed]

        wait_until(is_back, what="a new worker")
        fleet.wait_ready(transport, 30)
        desk.send(0)
        assert desk.receive().seq == 0
        pids = fleet.pids
    assert not any(psutil.pid_exists(pid) for pid in [killed, *pids])
    assert transport.workers() == []


# A launcher that tells its workers' process ids and then waits to be killed.
_LAUNCHER = """
import sys, time
from pathlib import Path
from pipeline.flow.placement import place
from pipeline.server.transport import Transport
from workers.launch import Launcher

fleet = Launcher(place(["test-identity"], [], cores=2, workers=2), sys.argv[1], logs=Path(sys.argv[2]))
fleet.start()
fleet.wait_ready(Transport.connect(sys.argv[1]))
print(*fleet.pids, flush=True)
time.sleep(60)
"""


def test_workers_end_with_their_launcher_however_it_ends(
    server: EmbeddedServer, tmp_path: Path, wait_until: WaitUntil
) -> None:
    argv = [sys.executable, "-c", _LAUNCHER, server.url, str(tmp_path / "logs")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as launcher:
        try:
            assert launcher.stdout is not None
            pids = [int(pid) for pid in launcher.stdout.readline().split()]
            assert len(pids) == 2
            assert all(map(psutil.pid_exists, pids))
        finally:
            launcher.kill()
    wait_until(lambda: not any(map(psutil.pid_exists, pids)), what="the end of both workers")
