"""The page of numbers and README say what the result files say, and the command what is wrong with its options."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import pages, readme_table, report, suite
from benchmarks.harness import Plan, harness, picture, private_settings
from benchmarks.throughput import push_through
from commands.bench import bench

FRAMES = 60


def test_the_page_is_made_from_the_result_files() -> None:
    assert pages.PAGE.read_text("utf-8") == report.page(suite.RESULTS, pages.PAGE)


def test_readmes_rows_are_made_from_the_result_files() -> None:
    readme = pages.README.read_text("utf-8")
    assert readme_table.put(readme, suite.RESULTS) == readme
    assert readme.count(readme_table.FROM) == readme.count(readme_table.TO) == 1


def test_no_quick_figures_are_on_the_page() -> None:
    documents = [document for name in suite.SECTIONS if (document := suite.load(name, suite.RESULTS)) is not None]
    assert not any(document["quick"] for document in documents)


def test_figures_that_change_change_both_pages(tmp_path: Path) -> None:
    delay = suite.load("delay", suite.RESULTS)
    assert delay is not None
    delay["figures"]["added_ms"]["p50"] = 1234.5
    (tmp_path / "delay.json").write_text(json.dumps(delay))
    assert "1234.5" in report.page(tmp_path, tmp_path / "numbers.md")
    assert "p50 1234.5 ms" in readme_table.table(tmp_path)
    # Nothing else was measured, so nothing else is told.
    assert readme_table.table(tmp_path).count("\n| ") == 3


def test_figures_of_a_quick_run_stay_off_both_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [path.read_text("utf-8") for path in (pages.PAGE, pages.README)]
    monkeypatch.setattr(suite, "SCRATCH", tmp_path)
    monkeypatch.setattr(suite, "run", _copied)
    bench(only="delay", quick=True)
    assert capsys.readouterr().out.startswith("00:00  delay (1 of 1): copied")
    assert (tmp_path / "numbers.md").exists()
    assert [path.read_text("utf-8") for path in (pages.PAGE, pages.README)] == before


def _copied(name: str, results: Path, plan: Plan) -> None:
    plan.say("copied")
    (results / f"{name}.json").write_text((suite.RESULTS / f"{name}.json").read_text("utf-8"))


def test_an_unknown_section_is_named_with_those_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "bench", "--only", "pipe,speed"],
        cwd=suite.root(), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert (
        done.stderr.strip() == "painter: --only speed: the sections are files, live, delay, pipe, growth, startup, link"
    )


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
@pytest.mark.serial  # a worker that stands still for longer than a lease has its frame sent again
def test_every_frame_comes_through_the_bare_pipe_once() -> None:
    before = dict(os.environ)
    with private_settings(), harness("test-bytes", 1, events=True) as on:
        run = push_through(on.broker, "test-bytes", picture(), FRAMES)
        assert set(on.pids) == {"server", "worker 1"}
    assert (run.frames, run.resubmitted) == (FRAMES, 0)
    assert run.fps > 1
    assert dict(os.environ) == before
