"""A file is read and written under any name the disk allows: FFmpeg must not take a name for a URL or a pattern."""

import os
from pathlib import Path

import pytest

from producer.video import VideoSource
from tests.media import Clip, make_clip, pts_of
from tests.viewer.copying import copy

NAMES = [
    "Movie: part 2",
    "http:x",
    "concat:a|b",
    "-i",
    "100%",
    "%05d",
    "a?b#c&d=e",
    "café ☕",
    "it's [1] {2} (3)",
    "line\nbreak",
    os.fsdecode(b"latin-\xe9"),
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", Clip(frames=5))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_video_of_any_name_is_read_and_written(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, suffix: str
) -> None:
    monkeypatch.chdir(tmp_path)  # relative paths are the ones taken for URLs
    source = Path(f"{name}.mp4")
    source.write_bytes(clip.read_bytes())
    assert len(list(VideoSource(source).frames())) == 5
    output = copy(source, Path(f"{name}.out.{suffix}"))
    plain = output.rename(tmp_path / f"plain.{suffix}")
    assert pts_of(plain) == pts_of(clip)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, plain.name])
