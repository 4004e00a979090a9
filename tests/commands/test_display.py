"""The plain lines of a job: one of a thing is not several."""

from pathlib import Path

import pytest

from commands.display import Lines
from jobs.report import Progress, counted
from jobs.tasks import PaintTask
from workers.styles import find_style

TASK = PaintTask(Path("sea.jpg"), find_style("wave"), Path("sea.wave.jpg"))


@pytest.mark.parametrize(("number", "said"), [(None, "? frames"), (0, "0 frames"), (1, "1 frame"), (2, "2 frames")])
def test_one_is_not_said_as_several(number: int | None, said: str) -> None:
    assert counted(number, "frame") == said


def test_a_photo_is_one_frame_in_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    now_s = [0.0]
    lines = Lines(lambda: now_s[0])
    lines.begin(TASK, 1)
    now_s[0] = 2.0
    lines.update(TASK, Progress(done=0, total=1, in_flight=1, fps=0.0))
    assert capsys.readouterr().err.splitlines() == [
        "sea.jpg → wave: 1 frame",
        "sea.jpg → wave: 0/1 frame, 1 in flight",
    ]


def test_lines_come_every_two_seconds_and_not_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now_s = [0.0]
    lines = Lines(lambda: now_s[0])
    lines.begin(TASK, 100)
    for tenth in range(50):
        now_s[0] = tenth / 10
        lines.update(TASK, Progress(done=tenth, total=100, in_flight=1, fps=10.0))
    assert [line.split(", ")[0] for line in capsys.readouterr().err.splitlines()] == [
        "sea.jpg → wave: 100 frames",
        "sea.jpg → wave: 20/100 frames",
        "sea.jpg → wave: 40/100 frames",
    ]
