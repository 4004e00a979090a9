"""Workers that others start, as docs/fleet.md says: systemd from its unit, and Celery's own `multi`."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from fleet.stats import slot_of
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from tests.fleet.places import ROOT, binary, environment, painter
from tests.waiting import WaitUntil

UNIT = ROOT / "systemd" / "power-painter-worker@.service"
BIN = Path(sys.executable).parent


def installed() -> str:
    """The unit as on a machine that has it; here only this checkout exists."""
    return UNIT.read_text("utf-8").replace("/opt/power-painter/.venv/bin", str(BIN))


def paints(style: str, server: EmbeddedServer, folder: Path) -> None:
    """Let whoever serves `style` paint one photo."""
    photo, out = folder / f"{style}.png", folder / f"{style}.out.png"
    Image.new("RGB", (32, 32), (90, 120, 150)).save(photo)
    done = painter("paint", photo, "-s", style, "-o", out, env=environment(BROKER_URL=server.url))
    assert done.returncode == 0, done.stderr
    with Image.open(out) as painted:
        assert painted.size == (32, 32)


def test_the_systemd_unit_is_one_systemd_takes(tmp_path: Path) -> None:
    (tmp_path / "power-painter-worker@.service").write_text(installed())
    styles = subprocess.check_output([binary("systemd-escape"), "wave,starry"], text=True).strip()
    instance = tmp_path / f"power-painter-worker@{styles}.service"
    instance.symlink_to("power-painter-worker@.service")
    argv = [binary("systemd-analyze"), "verify", "--man=no", instance]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.system
@pytest.mark.timeout(120)
def test_the_units_command_paints_and_its_end_is_no_failure(
    tmp_path: Path, transport: Transport, server: EmbeddedServer, wait_until: WaitUntil
) -> None:
    style = "test-identity"
    unit = service(style, tmp_path)
    for folder in (tmp_path / "run" / unit["RuntimeDirectory"], tmp_path / "cache" / unit["CacheDirectory"]):
        folder.mkdir(parents=True)
    # systemd passes nothing else on: no HOME, nothing of a shell.
    given = dict(pair.split("=", 1) for pair in shlex.split(unit["Environment"]))
    bare = {"PATH": "/usr/bin:/bin", **given, **environment(BROKER_URL=server.url)}
    with (tmp_path / "unit.log").open("wb") as log:
        process = subprocess.Popen(shlex.split(unit["ExecStart"]), cwd="/", env=bare, stdout=log, stderr=log)
    try:
        wait_until(transport.workers, 40, "the worker")
        paints(style, server, tmp_path)
        process.terminate()
        ended = process.wait(float(unit["TimeoutStopSec"]))
    finally:
        process.kill()
        process.wait(10)
    assert ended in {0, *map(int, unit["SuccessExitStatus"].split())}, (tmp_path / "unit.log").read_text()
    assert transport.workers() == []


def service(instance: str, folder: Path) -> Mapping[str, str]:
    """The unit's section `[Service]` of an instance, its specifiers resolved below `folder`."""
    unit = ConfigParser(interpolation=None, default_section="", inline_comment_prefixes=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(installed())
    stands_for = {"%I": instance, "%i": instance, "%t": str(folder / "run"), "%C": str(folder / "cache")}
    return {key: re.sub(r"%\w", lambda found: stands_for[found[0]], text) for key, text in unit["Service"].items()}


@pytest.mark.system
@pytest.mark.timeout(180)
def test_celerys_own_multi_starts_workers_that_paint_and_stops_them(
    tmp_path: Path, transport: Transport, server: EmbeddedServer, wait_until: WaitUntil
) -> None:
    told = (ROOT / "docs" / "fleet.md").read_text("utf-8").replace("\\\n", "")
    start, stop = re.findall(r"^    (celery multi .*)", told, re.MULTILINE)
    with multi(start, stop, tmp_path, server):
        wait_until(lambda: len(transport.workers()) == 2, 60, "both workers")
        assert sorted((beat.style, slot_of(beat)) for beat in transport.workers()) == [
            ("starry", "cpu1"),
            ("wave", "cpu0"),
        ]
        for style in ("wave", "starry"):
            paints(style, server, tmp_path)
    assert transport.workers() == []
    assert list((tmp_path / "run").glob("*.pid")) == []


@contextmanager
def multi(start: str, stop: str, folder: Path, server: EmbeddedServer) -> Iterator[None]:
    """Workers from one line of the documents to the other, both typed as they stand there."""
    env = {**os.environ, **environment(BROKER_URL=server.url), "PATH": f"{BIN}:{os.environ['PATH']}"}

    def typed(line: str) -> None:
        done = subprocess.run(
            ["bash", "-c", line], cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        typed(start)
        yield
    finally:
        typed(stop)
