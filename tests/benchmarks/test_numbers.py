"""The page of numbers says what the result files say, and the command what is wrong with its options."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import report, suite
from benchmarks.desk import push_through
from benchmarks.ground import ground, picture, private_settings

FRAMES = 60


def test_the_page_is_made_from_the_result_files() -> None:
    assert suite.PAGE.read_text("utf-8") == report.page()


def test_no_quick_figures_are_on_the_page() -> None:
    documents = [document for name in suite.SECTIONS if (document := suite.load(name)) is not None]
    assert not any(document["quick"] for document in documents)


def test_an_unknown_section_is_named_with_those_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "bench", "--only", "pipe,speed"],
        cwd=suite.root(), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip() == "painter: --only speed: the sections are files, live, delay, pipe, growth, startup"


def test_an_installed_package_without_benchmarks_says_so(tmp_path: Path) -> None:
    for name in ("commands", "pipeline"):
        (tmp_path / name).symlink_to(suite.root() / name)
    run = "import sys; sys.path.insert(0, '.'); from commands.bench import bench; bench()"
    # The file's own place counts, so it is copied; the rest is found beside it.
    (tmp_path / "commands").unlink()
    (tmp_path / "commands").mkdir()
    (tmp_path / "commands" / "__init__.py").write_text("")
    (tmp_path / "commands" / "bench.py").write_text((suite.root() / "commands" / "bench.py").read_text())
    done = subprocess.run(
        [sys.executable, "-c", run], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert "painter bench runs from a checkout" in done.stderr


@pytest.mark.system
def test_every_frame_comes_through_the_bare_pipe_once() -> None:
    before = dict(os.environ)
    with private_settings(), ground("test-bytes", 1, events=True) as on:
        run = push_through(on.broker, "test-bytes", picture(), FRAMES)
        assert set(on.pids) == {"server", "worker 1"}
    assert (run.frames, run.resubmitted) == (FRAMES, 0)
    assert run.fps > 1
    assert dict(os.environ) == before
