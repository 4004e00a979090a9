"""A producer is lost or told to stop: a file goes on to the very pictures an undisturbed run gives."""

import hashlib
import signal
from pathlib import Path

import av
import pytest

from tests.faults.conftest import Film
from tests.faults.stage import Stage

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

SLOW = "test-sleep-10"


def hashes(path: Path) -> list[str]:
    """Return what tells each decoded frame apart: its time and its pixels."""
    with av.open(str(path)) as container:
        return [
            f"{frame.pts} {hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest()}"
            for frame in container.decode(video=0)
        ]


def test_a_killed_producers_second_run_gives_the_pictures_of_an_undisturbed_one(
    stage: Stage, film: Film, tmp_path: Path
) -> None:
    stage.work(SLOW)
    stage.live(film.loop, SLOW)
    segments = {"PAINTER_SEGMENT_FRAMES": "16"}
    assert stage.paint(film.path, SLOW, tmp_path / "quiet.mp4", **segments).end() == 0
    output = tmp_path / "killed.mp4"
    first = stage.paint(film.path, SLOW, output, **segments)
    stage.painted(70)
    first.send(signal.SIGKILL)
    first.end()
    parts = tmp_path / "killed.mp4.parts"
    finished = {path: path.stat().st_mtime_ns for path in sorted(parts.glob("*.mp4"))[:-1]}
    assert len(finished) >= 2
    second = stage.paint(film.path, SLOW, output, **segments)
    stage.wait(lambda: (card := stage.file_card()) is not None and card.painted > 5, "the second run")
    assert {path: path.stat().st_mtime_ns for path in finished} == finished, "a finished segment is left alone"
    assert second.end() == 0, second.said()
    assert second.report()["outputs"][0]["resumed"] >= 32
    assert hashes(output) == hashes(tmp_path / "quiet.mp4")


def test_a_killed_live_producer_ends_its_stream_within_five_seconds_and_disturbs_no_other(
    stage: Stage, film: Film
) -> None:
    stage.work(SLOW)
    killed, _ = stage.live(film.loop, SLOW, "gone"), stage.live(film.loop, SLOW, "stays")
    watcher = stage.watcher("stays")
    killed.send(signal.SIGKILL)
    # Places it held come back by their own deadline; until then the other has fewer, not none.
    stage.goes_on(watcher, 2)
    assert stage.wait(lambda: "gone" not in stage.live_names(), "the stream's end", 10) < 5


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_live_stream_that_is_asked_again_and_again_stops_cleanly(
    stage: Stage, film: Film, signum: signal.Signals
) -> None:
    stage.work(SLOW)
    live = stage.live(film.loop, SLOW)
    stage.wait(lambda: not live.is_running() or live.send(signum), "the end", 20)
    assert live.end() == (130 if signum == signal.SIGINT else 143)
    assert "Traceback" not in live.said()
    assert stage.card() is None, "it took its stream from the server before it ended"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_asking_again_and_again_is_still_a_clean_stop(
    stage: Stage, film: Film, tmp_path: Path, signum: signal.Signals
) -> None:
    words = ("paint", film.path, "--style", SLOW, "-o", tmp_path / "out.mp4", "--json")
    first = stage.run(*words, PAINTER_SEGMENT_FRAMES="16")
    stage.wait((tmp_path / "out.mp4.parts" / "manifest.json").exists, "a finished segment")
    family = first.family()
    assert len(family) > 1
    # To its very last moment: Python's own way out has windows of its own.
    stage.wait(lambda: not first.is_running() or first.send(signum), "the end", 20)
    assert first.end() == (130 if signum == signal.SIGINT else 143)
    assert "Traceback" not in first.said()
    stage.wait(lambda: not any(one.is_running() for one in family), "every process to end", 10)
    second = stage.run(*words, PAINTER_SEGMENT_FRAMES="16")
    assert second.end() == 0, second.said()
    assert second.report()["outputs"][0]["resumed"] >= 16
    assert film.is_whole_in(tmp_path / "out.mp4")
