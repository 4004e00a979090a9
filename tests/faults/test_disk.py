"""The disk fills up or the output folder goes: one line says so, what was painted stays, and the job can go on."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Film
from tests.faults.stage import Stage

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

STYLE = "test-sleep-5"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 192 KB."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_keeps_what_was_painted_and_the_job_goes_on_once_there_is_room(
    stage: Stage, film: Film, small_disk: Path
) -> None:
    stage.work(STYLE)
    stage.live(film.loop, STYLE)
    watcher = stage.watcher()
    output = small_disk / "out.mp4"
    words = ("--crf", "4")
    full = stage.paint(film.path, STYLE, output, *words, PAINTER_SEGMENT_FRAMES="16")
    assert full.end() == 1, full.said()
    assert "out.mp4: cannot be written (No space left on device)" in full.said()
    assert "Traceback" not in full.said()
    assert not output.exists()
    stage.goes_on(watcher, 2)
    kept = sorted(path.name for path in (small_disk / "out.mp4.parts").glob("*.mp4"))
    assert kept
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    again = stage.paint(film.path, STYLE, output, *words, PAINTER_SEGMENT_FRAMES="16")
    assert again.end() == 0, again.said()
    assert again.report()["outputs"][0]["resumed"] >= 16
    assert film.is_whole_in(output)


def test_a_removed_output_folder_ends_the_job_in_one_line(stage: Stage, film: Film, tmp_path: Path) -> None:
    stage.work(STYLE)
    stage.live(film.loop, STYLE)
    watcher = stage.watcher()
    folder = tmp_path / "outputs"
    folder.mkdir()
    job = stage.paint(film.path, STYLE, folder / "out.mp4", PAINTER_SEGMENT_FRAMES="16")
    stage.painted(40)
    # Away in one step, whatever is being written into it.
    folder.rename(tmp_path / "gone")
    assert job.end() == 1, job.said()
    assert "out.mp4: cannot be written (No such file or directory)" in job.said()
    assert "Traceback" not in job.said()
    assert stage.file_card() is None, "its stream is taken from the server"
    stage.goes_on(watcher, 2)
