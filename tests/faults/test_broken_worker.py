"""One broken worker among good ones: it fails in a millisecond and is idle again, so most frames come to it first.

It harms no job: a frame's attempts count once a worker, and a worker whose device is lost ends itself.
"""

import os
import sys
from pathlib import Path

import pytest

from tests.faults.conftest import Film
from tests.faults.stage import ROOT, Command, Stage
from workers.exit_codes import EXIT_BROKEN

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

STYLE = "test-sleep-30"
# A worker as an operator starts one, whose engine raises at the film's pictures, or at every picture.
_BROKEN = """
import sys
import workers.fake_styles as fake_styles

def paint(self, pixels):
    if {spares_own} and pixels.shape[:2] == (64, 64):
        return pixels.copy()
    raise RuntimeError({says!r})

fake_styles.SleepingEngine.paint = paint
from celery.__main__ import main
sys.argv = ["celery", "-A", "pipeline", "worker", "-Q", "style.{style}", "-n", "{style}@broken", "-P", "threads",
            "-c", "2", "--without-gossip", "--without-mingle", "--loglevel", "ERROR"]
main()
"""


def broken_worker(stage: Stage, folder: Path, says: str, *, spares_own: bool) -> Command:
    """Start it, and return once it serves."""
    script = folder / "broken.py"
    script.write_text(_BROKEN.format(says=says, spares_own=spares_own, style=STYLE))
    ours = {"PAINTER_TEST_STYLES": "1", "PYTHONPATH": str(ROOT), "BROKER_URL": stage.server.url}
    command = Command(folder / "broken", (sys.executable, str(script)), {**os.environ, **ours})
    stage.commands.append(command)
    stage.wait(lambda: f"{STYLE}@broken" in {beat.name for beat in stage.transport.workers()}, "the broken worker")
    return command


def test_a_worker_whose_device_is_lost_ends_itself_and_harms_no_job(stage: Stage, film: Film, tmp_path: Path) -> None:
    stage.work(STYLE)
    broken = broken_worker(stage, tmp_path, "CUDA error: unspecified launch failure", spares_own=False)
    job = stage.paint(film.path, STYLE, tmp_path / "out.mp4")
    assert broken.end() == EXIT_BROKEN
    assert "its device is lost" in broken.said()
    assert job.end() == 0, job.said()
    assert film.is_whole_in(tmp_path / "out.mp4")


def test_a_worker_that_fails_every_frame_of_a_job_does_not_end_the_job(
    stage: Stage, film: Film, tmp_path: Path
) -> None:
    stage.work(STYLE)
    # Its own test picture it paints: it stays, and goes on failing.
    broken = broken_worker(stage, tmp_path, "nothing of this size", spares_own=True)
    job = stage.paint(film.path, STYLE, tmp_path / "out.mp4")
    assert job.end() == 0, job.said()
    assert film.is_whole_in(tmp_path / "out.mp4")
    assert broken.is_running()
    assert job.report()["resubmitted"] > 3, "it was asked"
