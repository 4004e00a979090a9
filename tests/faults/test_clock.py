"""One host's clock jumps an hour while it works: nobody notices, since only the server's clock is ever compared."""

from pathlib import Path

import pytest

from tests.faults.conftest import Film
from tests.faults.stage import ROOT, Stage

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

STYLE = "test-sleep-10"
# Read by every Python process before anything else. Debian's faketime does the same to whole processes, but has
# `time.sleep` of Python 3.11 on fail with EINVAL.
_CLOCK = """
import os, time
_real, _path = time.time, os.environ["TEST_CLOCK"]

def _set():
    with open(_path) as file:
        return _real() + float(file.read() or 0)

time.time = _set
"""


@pytest.mark.parametrize(("host", "jump_s"), [("worker", 3600), ("worker", -3600), ("producer", 3600)])
def test_a_clock_that_jumps_has_no_effect(stage: Stage, film: Film, tmp_path: Path, host: str, jump_s: int) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    (tmp_path / "wound").mkdir()
    (tmp_path / "wound" / "sitecustomize.py").write_text(_CLOCK)
    jumping = {"TEST_CLOCK": str(clock), "PYTHONPATH": f"{tmp_path / 'wound'}:{ROOT}"}
    stage.work(STYLE, 1, **(jumping if host == "worker" else {}))
    stage.work(STYLE, 1)
    stage.live(film.loop, STYLE)
    watcher = stage.watcher()
    job = stage.paint(film.path, STYLE, tmp_path / "out.mp4", **(jumping if host == "producer" else {}))
    stage.painted(20)
    clock.with_suffix(".new").write_text(str(jump_s))
    clock.with_suffix(".new").replace(clock)
    stage.goes_on(watcher, 1)
    assert job.end() == 0, job.said()
    assert film.is_whole_in(tmp_path / "out.mp4")
    assert job.report()["resubmitted"] == 0
    assert stage.require_sound(watcher).failed == 0
