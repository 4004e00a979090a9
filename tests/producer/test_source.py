"""Words on a command line become inputs, and what is wrong with one is said in one line."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import UsageError
from producer.source import expand, open_source
from tests.media import Clip, make_clip


def _photo(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((16, 24, 3), np.uint8)).save(path)
    return path


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    for name in ("b.jpg", "a.png", "day 2/c.webp", ".hidden.jpg", ".thumbs/d.jpg"):
        _photo(folder / name)
    make_clip(folder / "film.mp4", Clip(frames=2))
    make_clip(folder / "day 2" / "film.MOV", Clip(frames=2))
    (folder / "notes.txt").write_text("not a picture")
    _photo(folder / "painted.mp4.parts" / "left over.png")
    return folder


def test_a_folder_is_its_videos_and_once_itself_for_its_photos(album: Path) -> None:
    assert expand([str(album)]) == [album / "film.mp4", album / "day 2" / "film.MOV", album]


def test_the_photos_of_a_folder_are_one_stream_without_hidden_ones(album: Path) -> None:
    names = [frame.name for frame in open_source(album).frames()]
    assert names == ["a.png", "b.jpg", "day 2/c.webp"]


def test_a_pattern_the_shell_left_alone_is_expanded(album: Path) -> None:
    assert expand([str(album / "*.mp4")]) == [album / "film.mp4"]
    assert expand([str(album / "**" / "*.mp4"), str(album / "film.mp4")]) == [album / "film.mp4"]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path: Path) -> None:
    path = _photo(tmp_path / "holiday [1].png")
    assert expand([str(path)]) == [path]


def test_one_photo_is_a_stream_of_one(tmp_path: Path) -> None:
    source = open_source(_photo(tmp_path / "cat.png"))
    assert [(frame.seq, frame.name, frame.pixels.shape) for frame in source.frames()] == [(0, "cat.png", (16, 24, 3))]
    assert (source.info.width, source.info.frames) == (0, 1)


def test_a_video_is_opened_whatever_its_name(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=2)).rename(tmp_path / "clip")
    assert open_source(clip).info.frames == 2


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("missing.mp4", "no such file or folder"),
        ("missing/*.mp4", "nothing matches"),
        ("empty", "no video and no photo in this folder"),
        ("pipe", "neither a file nor a folder"),
    ],
)
def test_a_wrong_word_is_refused_in_one_line(tmp_path: Path, word: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match=message) as caught:
        expand([str(tmp_path / word)])
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_word_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="no source given"):
        expand([])


def test_a_cut_of_photos_is_refused(album: Path) -> None:
    with pytest.raises(UsageError, match="cut videos, not photos"):
        open_source(album, start_s=1.0)


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = _photo(tmp_path / "cat.png")
    path.chmod(0)
    with pytest.raises(UsageError, match="permission denied"):
        expand([str(path)])
