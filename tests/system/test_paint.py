"""`painter paint` with everything real: its own server, workers that are killed, hang or raise, a server that vanishes.

Whatever happens, a file's frames are all there, once, in order, each at its time; or nothing is under the final name.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.server.embedded import EmbeddedServer
from tests.media import Clip, make_clip, packets_of, pts_of
from tests.system.conftest import Painter

pytestmark = [pytest.mark.system, pytest.mark.timeout(90)]

FRAMES = 120
Start = Callable[..., Painter]
# Holds a slot as a card would, so that faults find frames in every state; no core is busy meanwhile.
SLOW = "test-sleep-40"


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clip whose frames can be told apart, of variable frame rate, with sound."""
    pts = [n * 512 + (n % 3) * 100 for n in range(FRAMES)]
    return make_clip(tmp_path_factory.mktemp("clip") / "film.mp4", Clip(frames=FRAMES, pts=pts, audio=("aac",)))


def numbers(path: Path) -> list[int]:
    """Read each frame's number (modulo 16) off its picture."""
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    reds = [picture[2 : picture.shape[0] // 5, :, 2].mean(axis=0) for picture in pictures]
    return [int(np.argmax(red.reshape(16, -1).mean(axis=1))) for red in reds]


def apart(output: Path, clip: Path) -> float:
    """How far the pictures of `output` are from those of `clip`, of 255 (rms)."""
    with av.open(str(output)) as painted, av.open(str(clip)) as filmed:
        pairs = zip(painted.decode(video=0), filmed.decode(video=0), strict=False)
        errors = [
            np.square(a.to_ndarray(format="bgr24").astype(float) - b.to_ndarray(format="bgr24")) for a, b in pairs
        ]
    return float(np.sqrt(np.mean(errors)))


def is_whole(output: Path, clip: Path) -> bool:
    """Whether every frame of `clip` is in `output` once, in order, at its own time, and the sound is its own."""
    assert numbers(output) == [n % 16 for n in range(FRAMES)]
    assert pts_of(output) == pts_of(clip)
    assert packets_of(output, 1) == packets_of(clip, 1)
    return True


def test_a_clip_is_painted_whole_in_two_styles(painter: Start, clip: Path, tmp_path: Path) -> None:
    command = painter("paint", clip, "--style", "test-identity,test-sleep-5", "-o", tmp_path, "--json")
    code, report, said = command.end()
    assert code == 0, said
    assert (report["frames"], report["failed"], report["duplicates"]) == (2 * FRAMES, 0, 0)
    for style in ("test-identity", "test-sleep-5"):
        assert is_whole(tmp_path / f"film.{style}.mp4", clip)
    command.nothing_left()


def test_noise_stays_in_a_film_when_asked(painter: Start, clip: Path, tmp_path: Path) -> None:
    changed = {}
    for option in ("--steady", "--no-steady"):
        output = tmp_path / f"film{option}.mp4"
        code, _, said = painter("paint", clip, "-s", "test-identity", "-o", output, option, "--to", "1", "--json").end()
        assert code == 0, said
        changed[option] = apart(output, clip)
    assert changed["--no-steady"] < changed["--steady"] - 0.5


# A lease is 1.5 s: on a busy machine a worker that stands still for longer has its frames sent again, too.
@pytest.mark.serial
def test_a_killed_worker_costs_no_frame(painter: Start, clip: Path, tmp_path: Path) -> None:
    command = painter("paint", clip, "--style", SLOW, "--workers", "2", "-o", tmp_path, "--json")
    command.painted(20)
    victim = command.workers()[0]
    os.kill(victim.pid, signal.SIGKILL)
    command.painted(60)
    code, report, said = command.end()
    assert code == 0, said
    assert "starting it again" in said
    assert report["resubmitted"] <= 3
    assert is_whole(tmp_path / f"film.{SLOW}.mp4", clip)


def test_a_hung_worker_is_ended_and_its_frame_painted_by_another(painter: Start, clip: Path, tmp_path: Path) -> None:
    style = "test-hang-once-30"
    command = painter("paint", clip, "--style", style, "--workers", "2", "-o", tmp_path, "--json", PAINTER_HANG_S="2")
    code, report, said = command.end()
    assert code == 0, said
    assert report["resubmitted"] >= 1
    assert is_whole(tmp_path / f"film.{style}.mp4", clip)


@pytest.mark.serial
def test_a_frame_that_fails_once_is_painted_again(painter: Start, clip: Path, tmp_path: Path) -> None:
    code, report, said = painter("paint", clip, "--style", "test-raise-once-30", "-o", tmp_path, "--json").end()
    assert code == 0, said
    assert report["resubmitted"] == 1
    assert is_whole(tmp_path / "film.test-raise-once-30.mp4", clip)


def test_a_frame_that_fails_three_times_ends_the_job_and_keeps_what_was_painted(
    painter: Start, clip: Path, tmp_path: Path
) -> None:
    code, _, said = painter("paint", clip, "--style", "test-raise-100", "-o", tmp_path, "--json").end()
    assert code == 1
    assert "frame 100 could not be painted" in said
    assert "Traceback" not in said
    assert not (tmp_path / "film.test-raise-100.mp4").exists()
    partial = numbers(tmp_path / "film.test-raise-100.partial.mp4")
    assert 0 < len(partial) <= 100
    assert partial == [n % 16 for n in range(len(partial))]


def test_a_server_that_dies_and_comes_back_empty_costs_no_frame(painter: Start, clip: Path, tmp_path: Path) -> None:
    command = painter("paint", clip, "--style", SLOW, "--workers", "2", "-o", tmp_path, "--json")
    command.painted(30)
    os.kill(command.server_pid(), signal.SIGKILL)
    code, report, said = command.end()
    assert code == 0, said
    assert report["resubmitted"] >= 1
    assert is_whole(tmp_path / f"film.{SLOW}.mp4", clip)
    command.nothing_left()


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["kill", "int", "term"]
)
def test_a_stopped_job_leaves_nothing_running_and_goes_on_where_it_stopped(
    painter: Start, clip: Path, tmp_path: Path, signum: signal.Signals, code: int
) -> None:
    words = ("paint", clip, "--style", SLOW, "-o", tmp_path, "--json")
    first = painter(*words, PAINTER_SEGMENT_FRAMES="20")
    first.painted(70)
    first.kill(signum)
    first.process.wait(20)
    assert first.process.returncode == code
    first.nothing_left()
    assert not (tmp_path / f"film.{SLOW}.mp4").exists()
    ended, report, said = painter(*words, PAINTER_SEGMENT_FRAMES="20").end()
    assert ended == 0, said
    assert report["outputs"][0]["resumed"] >= 40
    assert report["frames"] == FRAMES - report["outputs"][0]["resumed"]
    assert is_whole(tmp_path / f"film.{SLOW}.mp4", clip)


def test_a_finished_output_is_left_alone_unless_fresh(painter: Start, clip: Path, tmp_path: Path) -> None:
    words = ("paint", clip, "--style", "test-identity", "-o", tmp_path, "--json")
    assert painter(*words).end()[0] == 0
    output = tmp_path / "film.test-identity.mp4"
    made = output.stat().st_mtime_ns
    code, report, said = painter(*words).end()
    assert (code, report["skipped"], output.stat().st_mtime_ns) == (0, 1, made)
    assert "is finished" in said
    code, report, _ = painter(*words, "--fresh").end()
    assert (code, report["frames"]) == (0, FRAMES)
    assert output.stat().st_mtime_ns > made


def test_strength_zero_gives_the_source(painter: Start, clip: Path, tmp_path: Path) -> None:
    words = ("--style", "test-sleep-5", "--strength", "0", "-o", tmp_path / "same.mp4", "--json")
    code, _, said = painter("paint", clip, *words).end()
    assert code == 0, said
    assert is_whole(tmp_path / "same.mp4", clip)


def test_a_plain_celery_worker_serves_and_answers(
    painter: Start, server: EmbeddedServer, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_URL", server.url)
    monkeypatch.setenv("PAINTER_TEST_STYLES", "1")
    celery = [sys.executable, "-m", "celery", "-A", "pipeline"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [*celery, "worker", "-Q", "style.test-identity", "-n", "plain@%h"],
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as worker:
        try:
            code, report, said = painter("paint", clip, "--style", "test-identity", "-o", tmp_path, "--json").end()
            assert code == 0, said
            assert report["frames"] == FRAMES
            assert is_whole(tmp_path / "film.test-identity.mp4", clip)
            ping = subprocess.run(
                [*celery, "inspect", "ping"], cwd=root, capture_output=True, text=True, timeout=30, check=False
            )
            assert (ping.returncode, ping.stdout.count("pong")) == (0, 1), ping.stdout + ping.stderr
        finally:
            worker.terminate()
