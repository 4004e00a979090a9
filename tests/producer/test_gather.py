"""Numbered pictures and pipes become films: the same pictures, at the rate asked for, removed when they are painted."""

import io
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import UsageError
from producer.gather import Gathering, gathered, is_numbered
from producer.source import open_source
from tests.independent import program
from tests.media import picture


def _frames(folder: Path, numbers: range, suffix: str = "png") -> str:
    folder.mkdir(exist_ok=True)
    for number in numbers:
        Image.fromarray(np.ascontiguousarray(picture(number, 64, 48)[:, :, ::-1])).save(
            folder / f"{number:05d}.{suffix}", **({"quality": 97, "subsampling": 0} if suffix == "jpg" else {})
        )
    return str(folder / f"%05d.{suffix}")


@pytest.mark.parametrize(("suffix", "tolerance"), [("png", 0), ("jpg", 3)])
def test_numbered_pictures_are_a_film(tmp_path: Path, suffix: str, tolerance: int) -> None:
    pattern = _frames(tmp_path / "100% frames", range(7, 19), suffix)
    with gathered([pattern], Gathering(tmp_path / "cache", Fraction(24))) as (word,):
        source = open_source(Path(word))
        frames = list(source.frames())
        assert [frame.pts * source.info.time_base for frame in frames] == [Fraction(n, 24) for n in range(12)]
        for number, frame in enumerate(frames, 7):
            assert np.abs(frame.pixels.astype(int) - picture(number, 64, 48)).mean() <= tolerance
    assert not Path(word).exists()


def test_sixteen_bits_a_colour_are_read(tmp_path: Path) -> None:
    for number in range(3):
        Image.fromarray(np.full((48, 64), 257 * 50 * number, np.uint16)).save(tmp_path / f"{number}.png")
    with gathered([str(tmp_path / "%d.png")], Gathering(tmp_path / "cache")) as (word,):
        assert [int(frame.pixels.mean()) for frame in open_source(Path(word)).frames()] == [0, 50, 100]


def test_after_a_failure_the_next_run_finds_the_same_film(tmp_path: Path) -> None:
    pattern, how = _frames(tmp_path / "frames", range(3)), Gathering(tmp_path / "cache", Fraction(24))
    with pytest.raises(KeyError), gathered([pattern], how) as (first,):
        raise KeyError
    state = Path(first).stat()
    with gathered([pattern], how) as (second,):
        assert (second, Path(second).stat().st_mtime_ns) == (first, state.st_mtime_ns)
    assert not Path(second).exists()
    with gathered([pattern], how) as (third,):
        assert (third, Path(third).stat().st_mtime_ns) == (first, state.st_mtime_ns), "made again"


@pytest.mark.parametrize(
    ("make", "word", "message"),
    [
        (lambda folder: _frames(folder, range(0)), "%05d.png", "no file is numbered so"),
        (
            lambda folder: [_frames(folder, range(3)), (folder / "00001.png").unlink()],
            "%05d.png",
            "number 1 is missing",
        ),
        (lambda folder: folder.mkdir(), "%05d.exr", "OpenEXR is not read; save it"),
        (lambda folder: folder.mkdir(), "%05d.tif", "numbered pictures are PNG or JPEG"),
        (lambda folder: folder.mkdir(), "%05d.mp4", "numbered pictures are PNG or JPEG"),
    ],
)
def test_what_is_no_film_is_refused_in_one_line(
    tmp_path: Path, make: Callable[[Path], object], word: str, message: str
) -> None:
    make(tmp_path / "frames")
    with (
        pytest.raises(UsageError, match=message),
        gathered([str(tmp_path / "frames" / word)], Gathering(tmp_path / "cache")),
    ):
        pass


def test_a_rate_without_numbered_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--rate is for"), gathered(["a.mp4"], Gathering(tmp_path, Fraction(24))):
        pass


def test_a_file_of_that_very_name_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "%05d.png").touch()
    assert not is_numbered(str(tmp_path / "%05d.png"))
    assert is_numbered(str(tmp_path / "%04d.png"))


@pytest.mark.parametrize("kind", ["nut", "matroska", "yuv4mpegpipe", "mpegts"])
def test_what_comes_down_a_pipe_is_a_film(tmp_path: Path, kind: str) -> None:
    coding = {"yuv4mpegpipe": "", "mpegts": "-c:v mpeg2video"}.get(kind, "-c:v ffv1")
    words = f"-v error -f lavfi -i testsrc2=size=64x48:rate=25:duration=0.4 {coding} -pix_fmt yuv420p -f {kind} -"
    sent = subprocess.run([program("ffmpeg"), *words.split()], capture_output=True, check=True).stdout
    said: list[str] = []
    with gathered(["-"], Gathering(tmp_path, pipe=_Pipe(sent), say=said.append)) as (word,):
        assert len(list(open_source(Path(word)).frames())) == 10
        assert Path(word).read_bytes() == sent
    assert list(tmp_path.iterdir()) == []
    assert "cannot be resumed" in said[0]


@pytest.mark.parametrize("sent", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(300)])
def test_a_pipe_without_a_video_is_refused(tmp_path: Path, sent: bytes) -> None:
    with pytest.raises(UsageError, match="holds no video"), gathered(["-"], Gathering(tmp_path, pipe=_Pipe(sent))):
        pass
    assert list(tmp_path.iterdir()) == []


class _Pipe(io.BytesIO):
    """Bytes that come down a pipe."""
