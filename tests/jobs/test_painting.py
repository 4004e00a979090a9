"""What a second `painter paint` does: it paints what is new or changed, takes no output for a source, and a bad file
costs that file. A painter that gives back what it got stands for the styles; everything else is real."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs.batch import Batch
from jobs.made import RECORD_NAME
from jobs.options import Options
from jobs.painting import Request, prepare
from jobs.report import Outcome, Progress, State, closing_lines
from jobs.supervisor import Supervisor
from jobs.tasks import PaintTask
from pipeline.errors import UsageError
from pipeline.process.config import settings
from pipeline.protocol.frame import Look
from pipeline.protocol.records import Heartbeat
from pipeline.server.broker import Broker
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from tests.jobs.test_paint_job import Painters
from tests.media import Clip, make_clip, pts_of
from viewer.segments import SinkOptions
from workers.styles import find_styles

Paint = Callable[..., list[Outcome]]
AS_USUAL = Options(Look(), SinkOptions(preset="ultrafast"), steady=False)


class Said(list[str]):
    """A display that remembers what was said."""

    def begin(self, task: PaintTask, total: int | None) -> None: ...
    def update(self, task: PaintTask, progress: Progress) -> None: ...
    def end(self, task: PaintTask, text: str) -> None:
        self.append(text)

    def say(self, text: str) -> None:
        self.append(text)


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def paint(server: EmbeddedServer, transport: Transport, said: Said) -> Paint:
    """`paint(words…, options=…, output=…, styles=…)` runs one command; returns what became of each file."""
    transport.send_heartbeat(Heartbeat("w", "wave", "cpu", 2))

    def run(
        *words: Path, options: Options = AS_USUAL, output: Path | None = None, styles: str = "wave"
    ) -> list[Outcome]:
        said.clear()
        request = Request([str(word) for word in words], find_styles([styles]), output)
        prepared = prepare(request, options, settings(), said.say)
        if not prepared.todo:
            return prepared.outcomes
        with Painters(server, set()) as painters:
            broker = Broker(server.url, transport, painters.pack, None)
            batch = Batch(broker, options, settings(), said)
            return [*prepared.outcomes, *batch.run(list(prepared.todo), Supervisor())]

    return run


def states(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    return sorted((outcome.task.source.name, str(outcome.state)) for outcome in outcomes)


def photo(path: Path, value: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((24, 32, 3), value, np.uint8)).save(path)
    return path


def clip(path: Path, frames: int = 50) -> Path:
    return make_clip(path, Clip(frames=frames))


def later(path: Path) -> None:
    """Make a file look changed a second later."""
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1_000_000_000))


def test_the_same_line_again_has_nothing_to_do(paint: Paint, said: Said, tmp_path: Path) -> None:
    film = clip(tmp_path / "film.mp4")
    assert states(paint(film)) == [("film.mp4", "painted")]
    before = (tmp_path / "film.wave.mp4").stat()
    assert states(paint(film)) == [("film.mp4", "finished")]
    assert said == [f"{tmp_path / 'film.wave.mp4'} is finished"]
    assert (tmp_path / "film.wave.mp4").stat() == before


@pytest.mark.parametrize(
    ("options", "why"),
    [
        pytest.param(replace(AS_USUAL, look=Look(strength=0.5)), "another strength", id="strength"),
        pytest.param(replace(AS_USUAL, look=Look(keep_colours=True)), "--keep-colours", id="colours"),
        pytest.param(replace(AS_USUAL, steady=True), "--no-steady", id="steady"),
        pytest.param(replace(AS_USUAL, sink=SinkOptions(preset="ultrafast", crf=30)), "another crf", id="quality"),
    ],
)
def test_an_output_is_painted_again_where_it_was_made_otherwise(
    paint: Paint, said: Said, tmp_path: Path, options: Options, why: str
) -> None:
    film = clip(tmp_path / "film.mp4", 4)
    paint(film, options=options)
    assert states(paint(film)) == [("film.mp4", "painted")]
    assert said[0] == f"{tmp_path / 'film.wave.mp4'}: {why}; it is painted again"
    assert states(paint(film)) == [("film.mp4", "finished")]


def test_a_trial_of_the_first_second_is_not_the_whole_film(paint: Paint, said: Said, tmp_path: Path) -> None:
    film = clip(tmp_path / "film.mp4")
    trial = replace(AS_USUAL, sink=replace(AS_USUAL.sink, end_s=1.0))
    paint(film, options=trial)
    assert len(pts_of(tmp_path / "film.wave.mp4")) == 25
    paint(film)
    assert said[0].endswith("film.wave.mp4: another cut; it is painted again")
    assert pts_of(tmp_path / "film.wave.mp4") == pts_of(film)


def test_a_source_that_changed_is_painted_again(paint: Paint, said: Said, tmp_path: Path) -> None:
    film = clip(tmp_path / "film.mp4", 4)
    paint(film)
    later(film)
    assert states(paint(film)) == [("film.mp4", "painted")]
    assert said[0].endswith(": the source has changed; it is painted again")


def test_new_weights_under_an_old_name_paint_again(paint: Paint, tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    weights = list(find_styles(["wave"])[0].torch_file.parent.glob("wave.*"))  # type: ignore[union-attr]
    settings().styles_dir.mkdir(parents=True)
    for number, ending in ((1, b""), (2, b" ")):
        for path in weights:
            target = settings().styles_dir / path.name
            target.write_bytes(path.read_bytes() + (ending if path.suffix == ".safetensors" else b""))
            os.utime(target, (number, number))
        assert states(paint(tmp_path / "a.png")) == [("a.png", "painted")]
    assert states(paint(tmp_path / "a.png")) == [("a.png", "finished")]


def test_an_output_that_is_not_ours_is_left_alone(paint: Paint, said: Said, tmp_path: Path) -> None:
    film = clip(tmp_path / "film.mp4", 4)
    own = clip(tmp_path / "film.wave.mp4", 7)
    before = own.read_bytes()
    assert states(paint(film)) == [("film.mp4", "finished")]
    assert "--fresh paints it again" in said[0]
    own.unlink()
    paint(film)
    own.write_bytes(before)
    later(film)
    assert states(paint(film)) == [("film.mp4", "finished")]
    assert own.read_bytes() == before


def test_a_folder_is_painted_photo_by_photo(paint: Paint, said: Said, tmp_path: Path) -> None:
    album = tmp_path / "album"
    for name in ("a.png", "sub/b.png"):
        photo(album / name)
    paint(album)
    painted = tmp_path / "album.wave"
    first = (painted / "a.png").stat().st_mtime_ns
    assert states(paint(album)) == [("album", "finished")]
    photo(album / "c.png")
    (outcome,) = paint(album)
    assert outcome.report is not None
    assert outcome.report.frames == 1
    assert said[0] == f"{painted}: 1 new or changed, 2 photos are as they were"
    assert (painted / "a.png").stat().st_mtime_ns == first
    photo(album / "a.png", 200)
    later(album / "a.png")
    (painted / "sub" / "b.png").unlink()
    (outcome,) = paint(album)
    assert outcome.report is not None
    assert outcome.report.frames == 2
    assert np.asarray(Image.open(painted / "a.png")).mean() == 200
    assert states(paint(album)) == [("album", "finished")]
    (outcome,) = paint(album, options=replace(AS_USUAL, look=Look(strength=0.5)))
    assert outcome.report is not None
    assert outcome.report.frames == 3, "another strength concerns all of them"


def test_one_bad_photo_costs_that_photo_and_is_told_once(paint: Paint, said: Said, tmp_path: Path) -> None:
    album = tmp_path / "album"
    for name in ("a.png", "c.png"):
        photo(album / name)
    (album / "b.png").write_bytes(b"no picture")
    (outcome,) = paint(album)
    assert outcome.state is State.DAMAGED
    assert outcome.reason.startswith("1 of 3 photos cannot be read: b.png (")
    assert sorted(path.name for path in (tmp_path / "album.wave").iterdir()) == ["a.png", "c.png"]
    assert not list(tmp_path.glob("album.wave.pa*"))
    assert states(paint(album)) == [("album", "finished")]
    assert said == [f"{tmp_path / 'album.wave'} is finished, but for 1 that could not be read"]
    photo(album / "b.png")
    assert states(paint(album)) == [("album", "painted")]
    (album / "d.png").write_bytes(b"no picture")
    (outcome,) = paint(album)
    assert outcome.state is State.DAMAGED
    assert states(paint(album)) == [("album", "finished")]


def test_one_bad_file_costs_that_file(paint: Paint, tmp_path: Path) -> None:
    good = clip(tmp_path / "good.mp4", 4)
    (tmp_path / "bad.mp4").write_bytes(b"no film")
    (tmp_path / "bad.png").write_bytes(b"no photo")
    outcomes = paint(good, tmp_path / "bad.mp4", tmp_path / "bad.png", tmp_path / "gone.mp4")
    assert states(outcomes) == [
        ("bad.mp4", "failed"), ("bad.png", "failed"), ("gone.mp4", "failed"), ("good.mp4", "painted"),
    ]  # fmt: skip
    assert pts_of(tmp_path / "good.wave.mp4") == pts_of(good)
    head, *rest = closing_lines(outcomes, 1.0)
    assert head == "4 files in 1.0 s: 1 painted, 3 failed"
    assert len(rest) == 3
    assert all(outcome.reason for outcome in outcomes if outcome.is_bad)
    with pytest.raises(UsageError, match=r"bad\.mp4"):
        paint(tmp_path / "bad.mp4")


def test_a_film_that_breaks_off_is_painted_as_far_as_it_goes_and_told_once(
    paint: Paint, said: Said, tmp_path: Path
) -> None:
    film = clip(tmp_path / "film.mkv")
    whole = film.read_bytes()
    film.write_bytes(whole[: len(whole) * 7 // 10])
    (outcome,) = paint(film)
    assert outcome.state is State.DAMAGED
    painted = tmp_path / "film.wave.mp4"
    assert 0 < len(pts_of(painted)) < 50
    assert states(paint(film)) == [("film.mkv", "finished")]
    assert said == [f"{painted} is finished, but {outcome.reason}"]
    film.write_bytes(whole)
    assert states(paint(film)) == [("film.mkv", "painted")]
    assert len(pts_of(painted)) == 50


def test_outputs_are_no_sources_in_a_folder_a_pattern_or_what_a_shell_makes_of_one(
    paint: Paint, said: Said, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    clip(folder / "a.mp4", 4)
    photo(folder / "b.png")
    paint(folder, folder / "b.png", output=folder)
    paint(folder, output=folder / "out")
    made = {path for path in folder.rglob("*") if path.name != RECORD_NAME and path.is_file()}
    assert len(made) == 2 + 3 + 2, "sources, their paintings and the folder of photos, and `out`"
    for words in ([folder], [folder / "*"], sorted(path for path in folder.glob("[!.]*") if path.is_file())):
        for output in (folder, folder / "out"):
            outcomes = paint(*words, output=output)
            assert {outcome.task.source.name for outcome in outcomes} <= {"a.mp4", "b.png", "in", "out"}, words
    names = {path.name for path in folder.rglob("*")}
    assert not [name for name in names if name.count("wave") > 1]
    # Named by itself an output is a source as any other.
    assert states(paint(folder / "a.wave.mp4", output=tmp_path)) == [("a.wave.mp4", "painted")]


def test_what_an_interrupted_run_kept_is_no_source_and_goes_when_the_film_is_done(paint: Paint, tmp_path: Path) -> None:
    film = clip(tmp_path / "film.mp4", 4)
    partial = shutil.copy(film, tmp_path / "film.wave.partial.mp4")
    other = photo(tmp_path / "own.partial.png")
    outcomes = paint(tmp_path, output=tmp_path / "out")
    assert {outcome.task.source.name for outcome in outcomes} == {"film.mp4", tmp_path.name}
    assert (tmp_path / "out" / f"{tmp_path.name}.wave" / other.name).exists(), "a name alone proves nothing"
    assert Path(partial).exists()


@pytest.mark.parametrize(
    ("name", "is_refused"), [("x" * 236 + ".mp4", False), ("x" * 251 + ".mp4", True)], ids=["fits", "too long"]
)
def test_a_name_too_long_for_its_output_is_refused_in_one_line(
    paint: Paint, tmp_path: Path, name: str, is_refused: bool
) -> None:
    film = clip(tmp_path / "film.mp4", 4)
    long = film.rename(tmp_path / name)
    if is_refused:
        with pytest.raises(UsageError, match="the name is too long"):
            paint(long)
    else:
        assert states(paint(long, output=tmp_path / "short.mp4")) == [(name, "painted")]
