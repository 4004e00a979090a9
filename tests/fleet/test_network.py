"""A fleet over several machines: a host is cut off and comes back, a link is slow and lossy; nothing is lost."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from pipeline.flow.resend import LIVE_WAIT_MS
from pipeline.server.connection import answers
from pipeline.server.transport import Transport
from tests.fleet.network import Network, lab
from tests.fleet.places import environment, running
from tests.fleet.streams import photos
from tests.waiting import WaitUntil

# 50 ms a frame, one worker a host: 40 frames a second together.
STYLE, FRAME_MS, PHOTOS, LIVE_FPS = "test-sleep-50", 50, 400, 8
DELAY_MS, LOSS_PERCENT = 50, 1


class Machines:
    """Two worker hosts and a desk at work on a network."""

    def __init__(self, network: Network, transport: Transport, folder: Path, wait_until: WaitUntil) -> None:
        self.network, self.transport, self.folder, self.wait_until = network, transport, folder, wait_until
        self._stack = ExitStack()

    def start(self) -> None:
        """Start the workers and wait for them."""
        for host in ("one", "two"):
            work = [sys.executable, "-m", "cli", "work", "--devices", "cpu", "--styles", STYLE]
            self.run(host, work, f"{host}.log")
        self.wait_until(lambda: self.hosts() == {"one", "two"}, 60, "both hosts")

    def run(self, host: str, argv: list[str], log: str) -> "subprocess.Popen[bytes]":
        """Run a command on a host until the test's end."""
        runtime = self.folder / f"run-{host}"
        runtime.mkdir(mode=0o700, exist_ok=True)
        env = environment(BROKER_URL=self.network.url(host), XDG_RUNTIME_DIR=runtime)
        return self._stack.enter_context(running(self.network.on(host, argv), env, self.folder / log))

    def film(self) -> None:
        """Have the desk film, and wait for the first paintings."""
        desk = [sys.executable, "-m", "tests.fleet.live_client", self.network.url("desk"), STYLE, str(LIVE_FPS)]
        self.run("desk", desk, "live.log")
        self.wait_until(lambda: len(self.shown()) > LIVE_FPS, 30, "the live stream")

    def paint(self) -> "subprocess.Popen[bytes]":
        """Have the desk paint a file, and wait for its first paintings."""
        folder = photos(self.folder / "film", PHOTOS)
        job = self.run("desk", [sys.executable, "-m", "cli", "paint", str(folder), "-s", STYLE, "--json"], "job.log")
        self.wait_until(
            lambda: any(card.frames and card.painted > 5 for card in self.transport.streams()), 30, "a file"
        )
        return job

    def shown(self) -> list[tuple[float, float]]:
        """When each live painting came to the desk, and its age in ms."""
        lines = (self.folder / "live.log").read_text().splitlines()
        return [(float(at_s), float(delay_ms)) for at_s, delay_ms in (line.split() for line in lines[:-1])]

    def hosts(self) -> set[str]:
        """The hosts that give signs of life."""
        return {beat.host for beat in self.transport.workers()}

    def painted(self, host: str) -> int:
        """How much a host's worker painted so far."""
        return sum(beat.painted for beat in self.transport.workers() if beat.host == host)

    def nothing_lost(self, job: "subprocess.Popen[bytes]") -> dict[str, float]:
        """Wait for the file and look at every one of its paintings. Return the job's report."""
        assert job.wait(90) == 0, (self.folder / "job.log").read_text()
        report: dict[str, float] = json.loads((self.folder / "job.log").read_text().strip().splitlines()[-1])
        assert (report["frames"], report["failed"]) == (PHOTOS, 0)
        painted = sorted((self.folder / f"film.{STYLE}").iterdir())
        assert [path.name for path in painted] == [f"{number:04}.png" for number in range(PHOTOS)]
        for number, path in enumerate(painted):
            with Image.open(path) as picture:
                assert picture.getpixel((8, 8)) == (number % 256, 200, number // 256)
        return report

    def close(self) -> None:
        """End everything."""
        self._stack.close()


@pytest.fixture
def machines(tmp_path: Path, wait_until: WaitUntil) -> Iterator[Machines]:
    with lab(tmp_path) as network:
        wait_until(lambda: answers(network.url("")), 10, "redis-server")
        with (
            closing(Transport.connect(network.url(""))) as transport,
            closing(Machines(network, transport, tmp_path, wait_until)) as machines,
        ):
            yield machines


@pytest.mark.system
@pytest.mark.serial
@pytest.mark.timeout(180)
def test_a_host_is_cut_off_and_comes_back(machines: Machines) -> None:
    machines.start()
    machines.film()
    job = machines.paint()
    machines.network.cut("one")
    cut_s = time.monotonic()
    machines.wait_until(lambda: machines.hosts() == {"two"}, 20, "host one to be missed")
    machines.network.mend("one")
    machines.wait_until(lambda: machines.hosts() == {"one", "two"}, 40, "host one to come back by itself")
    before = machines.painted("one")
    machines.wait_until(lambda: machines.painted("one") > before + 20, 30, "host one to paint again")
    machines.nothing_lost(job)
    shown = [(at_s, delay_ms) for at_s, delay_ms in machines.shown() if at_s > cut_s]
    assert len(shown) > 5 * LIVE_FPS
    # No frame waits longer than this for a worker, nor the viewer for a frame whose worker is gone.
    assert max(delay_ms for _, delay_ms in shown) <= LIVE_WAIT_MS + 10 * FRAME_MS
    assert max(later - sooner for (sooner, _), (later, _) in pairwise(shown)) * 1000 <= LIVE_WAIT_MS + 10 * FRAME_MS


@pytest.mark.system
@pytest.mark.serial
@pytest.mark.timeout(180)
@pytest.mark.parametrize("host", ["two", "desk"])
def test_a_link_that_is_slow_and_loses_packets_costs_time_and_nothing_else(machines: Machines, host: str) -> None:
    machines.network.slow_down(host, DELAY_MS, LOSS_PERCENT)
    machines.start()
    machines.film()
    before = machines.painted("two")
    machines.nothing_lost(machines.paint())
    assert machines.painted("two") > before
    # One packet in a hundred of the few hundred that a run sends: that some were lost, not how many.
    assert machines.network.lost(host) > 0
    delays = [delay_ms for _, delay_ms in machines.shown()]
    assert len(delays) > 2 * LIVE_FPS
    # The link is what it is said to be: there and back again, once at least.
    assert (max if host == "two" else min)(delays) > 2 * DELAY_MS
    assert max(delays) <= LIVE_WAIT_MS + 10 * FRAME_MS
