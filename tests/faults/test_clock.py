"""One host's clock jumps an hour while it works: nobody notices, since only the server's clock is ever compared.

Where that one jumps, all that was to expire is gone at once: as after a restart, everything is given again.
"""

from pathlib import Path

import pytest

from tests.faults.conftest import Film
from tests.faults.stage import ROOT, Stage

_FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)

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


@pytest.mark.parametrize(
    ("host", "jump_s"), [("worker", 3600), ("worker", -3600), ("producer", 3600), ("camera", 3600), ("camera", -3600)]
)
def test_a_clock_that_jumps_has_no_effect(stage: Stage, film: Film, tmp_path: Path, host: str, jump_s: int) -> None:
    clock = tmp_path / "clock"
    _put(clock, "0")
    (tmp_path / "wound").mkdir()
    (tmp_path / "wound" / "sitecustomize.py").write_text(_CLOCK)
    jumping = {"TEST_CLOCK": str(clock), "PYTHONPATH": f"{tmp_path / 'wound'}:{ROOT}"}
    stage.work(STYLE, 1, **(jumping if host == "worker" else {}))
    stage.work(STYLE, 1)
    stage.live(film.loop, STYLE, **(jumping if host == "camera" else {}))
    watcher = stage.watcher()
    job = stage.paint(film.path, STYLE, tmp_path / "out.mp4", **(jumping if host == "producer" else {}))
    stage.painted(20)
    _put(clock, str(jump_s))
    stage.goes_on(watcher, 2)
    assert job.end() == 0, job.said()
    assert film.is_whole_in(tmp_path / "out.mp4")
    assert job.report()["resubmitted"] == 0
    assert stage.require_sound(watcher).failed == 0


@pytest.mark.skipif(_FAKETIME is None, reason="no clock can be set for a server: apt-get install faketime")
def test_the_servers_clock_that_jumps_there_and_back_costs_no_frame(
    film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = tmp_path / "clock"
    _put(clock, "+0")
    # Waits go by the clock that never jumps, as on any machine.
    given = {"FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    with monkeypatch.context() as patch:
        for name, value in {"LD_PRELOAD": str(_FAKETIME), **given}.items():
            patch.setenv(name, value)
        stage = Stage(tmp_path)
    try:
        stage.work(STYLE)
        stage.live(film.loop, STYLE)
        watcher = stage.watcher()
        for number, jump in enumerate(("+3600", "+0")):
            job = stage.paint(film.path, STYLE, tmp_path / f"out{number}.mp4")
            stage.painted(20)
            before_ms = stage.transport.now_ms()
            _put(clock, jump)
            stage.wait(lambda before_ms=before_ms: abs(stage.transport.now_ms() - before_ms) > 3_000_000, "the jump")
            stage.goes_on(watcher, 2)
            assert job.end() == 0, job.said()
            assert film.is_whole_in(tmp_path / f"out{number}.mp4")
        stage.require_sound(watcher)
    finally:
        stage.close()


def _put(clock: Path, text: str) -> None:
    """Set a clock, whole at every moment."""
    clock.with_suffix(".new").write_text(f"{text}\n")
    clock.with_suffix(".new").replace(clock)
