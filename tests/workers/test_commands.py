"""`painter work --plan` and `painter styles`, as a user types them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from commands.sheet import draw_sheet
from pipeline.errors import SinkError, UsageError
from tests.workers.tiny import Pixels, StyleFiles
from workers.styles import Style

ROOT = Path(__file__).parent.parent.parent


def painter(*arguments: str, styles: Path) -> "subprocess.CompletedProcess[str]":
    """Run one command with the user's own styles in `styles`."""
    env = {**os.environ, "PAINTER_STYLES_DIR": str(styles), "COLUMNS": "120"}
    argv = [sys.executable, str(ROOT / "cli.py"), *arguments]
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30, check=False)


def test_a_plan_is_shown_and_nothing_is_started(tiny: StyleFiles, tmp_path: Path) -> None:
    done = painter("work", "--plan", "--devices", "cpu", "--styles", "tiny", "--workers", "3", styles=tiny.folder)
    assert done.returncode == 0, done.stderr
    assert [word for word in ("cpu0", "cpu1", "cpu2", "tiny") if word not in done.stdout] == []
    assert not list(tmp_path.rglob("*.sock"))


def test_threads_set_by_hand_are_in_the_plan(tiny: StyleFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAINTER_THREADS", "37")
    done = painter("work", "--plan", "--devices", "cpu", "--styles", "tiny", styles=tiny.folder)
    assert "37" in done.stdout


def test_a_device_that_is_not_there_is_wrong_before_work_begins(tiny: StyleFiles) -> None:
    done = painter("work", "--plan", "--devices", "97", styles=tiny.folder)
    assert done.returncode == 2
    assert "no GPU 97 here" in done.stderr
    assert "Traceback" not in done.stderr


def test_styles_lists_a_users_own_beside_the_shipped_ones(tiny: StyleFiles) -> None:
    done = painter("styles", styles=tiny.folder)
    assert done.returncode == 0, done.stderr
    assert "tiny (own)" in done.stdout
    assert "Hokusai" in done.stdout


@pytest.mark.parametrize(("size", "count"), [((203, 151), 1), ((151, 203), 3), ((200, 100), 5)], ids=str)
def test_a_sheet_holds_the_photo_and_every_style(
    tiny: StyleFiles, photo: Pixels, tmp_path: Path, size: tuple[int, int], count: int
) -> None:
    Image.fromarray(photo).resize(size).save(tmp_path / "photo.png")
    styles = [Style(f"s{n}", "A painting with quite a long name", "Somebody", export=tiny.export) for n in range(count)]
    draw_sheet(tmp_path / "photo.png", styles, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 480
        colours = sheet.convert("RGB").getcolors(1 << 24)
    assert colours is not None
    assert len(colours) > 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png", "sheet.png"]


@pytest.mark.parametrize(
    ("photo_name", "output", "said"),
    [
        ("photo.png", "sheet.gif", r"\.jpg or \.png"),
        ("photo.png", "nowhere/sheet.jpg", "is no folder"),
        ("missing.png", "sheet.jpg", "missing.png"),
        ("notes.txt", "sheet.jpg", "is not a photo"),
    ],
)
def test_a_sheet_that_cannot_be_drawn_is_refused(
    photo: Pixels, tmp_path: Path, photo_name: str, output: str, said: str
) -> None:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(UsageError, match=said):
        draw_sheet(tmp_path / photo_name, [], tmp_path / output)


def test_a_sheet_that_cannot_be_written_leaves_nothing_behind(tiny: StyleFiles, photo: Pixels, tmp_path: Path) -> None:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    (tmp_path / "sheet.jpg").mkdir()
    with pytest.raises(SinkError, match="cannot be written"):
        draw_sheet(tmp_path / "photo.png", [Style("s", export=tiny.export)], tmp_path / "sheet.jpg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png", "sheet.jpg"]
