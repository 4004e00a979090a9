"""The plain lines of a job: one of a thing is not several."""

from dataclasses import replace
from pathlib import Path

import pytest

from commands.display import Lines, Overall, duration
from jobs.report import Progress, counted
from jobs.tasks import PaintTask
from workers.styles import find_style

TASK = PaintTask(Path("sea.jpg"), find_style("wave"), Path("sea.wave.jpg"))
PHOTO = replace(TASK, noun="photo")


@pytest.mark.parametrize(("number", "said"), [(None, "? frames"), (0, "0 frames"), (1, "1 frame"), (2, "2 frames")])
def test_one_is_not_said_as_several(number: int | None, said: str) -> None:
    assert counted(number, "frame") == said


def test_a_photo_is_one_photo_in_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    now_s = [0.0]
    lines = Lines({TASK: None}, lambda: now_s[0])
    lines.begin(PHOTO, 1)
    now_s[0] = 2.0
    lines.update(PHOTO, Progress(done=0, total=1, in_flight=1, fps=0.0))
    assert capsys.readouterr().err.splitlines() == [
        "sea.jpg → wave: 1 photo",
        "sea.jpg → wave: 0/1 photo, 1 in flight",
    ]


def test_lines_come_every_two_seconds_and_not_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now_s = [0.0]
    lines = Lines({TASK: None}, lambda: now_s[0])
    lines.begin(TASK, 100)
    for tenth in range(50):
        now_s[0] = tenth / 10
        lines.update(TASK, Progress(done=tenth, total=100, in_flight=1, fps=10.0))
    assert [line.split(", ")[0] for line in capsys.readouterr().err.splitlines()] == [
        "sea.jpg → wave: 100 frames",
        "sea.jpg → wave: 20/100 frames",
        "sea.jpg → wave: 40/100 frames",
    ]


def test_the_rest_of_many_files_takes_as_long_as_all_their_frames_do() -> None:
    now_s = 0.0
    tasks = [replace(TASK, source=Path(f"{number}.mp4")) for number in range(4)]
    overall = Overall(dict.fromkeys(tasks, 100), lambda: now_s)
    for number, task in enumerate(tasks[:2]):
        # The second film was painted up to its 50th frame by an earlier run.
        for done in range(51 if number else 1, 101):
            now_s += 0.1
            overall.update(task, Progress(done=done, total=100, fps=10.0, in_flight=1))
            expected_s = (4 * 100 - number * 50 - overall.done) / 10 if number == 0 else (350 - overall.done) / 10
            if now_s > 1 and (left_s := overall.left_s()) is not None:
                assert abs(left_s - expected_s) < 6, (number, done)
        overall.end(task)
    assert (overall.done, overall.total, overall.files) == (150, 350, "2/4 files")
    # One that cannot be read is not waited for.
    overall.end(tasks[2])
    left_s = overall.left_s()
    assert left_s is not None
    assert abs(left_s - 10.0) < 1


def test_nobody_says_when_the_end_is_where_a_files_length_is_not_known() -> None:
    now_s = 0.0
    tasks = [replace(TASK, source=Path(f"{number}.mp4")) for number in range(2)]
    overall = Overall({tasks[0]: 100, tasks[1]: None}, lambda: now_s)
    for done in range(1, 50):
        now_s += 0.1
        overall.update(tasks[0], Progress(done=done, total=100, fps=10.0, in_flight=1))
    assert overall.left_s() is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(3.4, "3 s"), (89, "89 s"), (150, "2 min"), (3600, "1 h 00 min"), (8100, "2 h 15 min")]
)
def test_a_time_to_wait_is_said_as_people_say_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words
