"""Animations come in picture by picture, each for as long as the file says, and cut like films."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import UsageError
from producer.animation import AnimationSource
from producer.source import is_photo, open_source

COLOURS = ("red", "lime", "blue", "white")
LENGTHS_MS = (100, 500, 40, 1000)


def _animation(path: Path, lengths_ms: tuple[int, ...] = LENGTHS_MS, *, clear: bool = False) -> Path:
    pictures = [Image.new("RGBA", (20, 12), colour) for colour in COLOURS]
    for picture in pictures if clear else []:
        picture.paste((0, 0, 0, 0), (2, 2, 10, 10))
    lossless = {"lossless": True} if path.suffix == ".webp" else {"disposal": 2} if path.suffix == ".gif" else {}
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=list(lengths_ms), loop=0, **lossless)
    return path


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "avif"])
def test_each_picture_is_read_with_its_own_length(tmp_path: Path, suffix: str) -> None:
    path = _animation(tmp_path / f"a.{suffix}")
    assert not is_photo(path)
    source = open_source(path)
    frames = list(source.frames())
    assert [frame.pts * source.info.time_base * 1000 for frame in frames] == [0, 100, 600, 640]
    assert source.info.end_pts == 1640
    shown = [tuple(int(v) for v in frame.pixels[6, 15, ::-1]) for frame in frames]
    assert np.abs(np.array(shown) - [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]).max() <= 6


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_what_is_transparent_shows_white(tmp_path: Path, suffix: str) -> None:
    frames = list(open_source(_animation(tmp_path / f"a.{suffix}", clear=True)).frames())
    assert [frame.pixels[6, 4].tolist() for frame in frames] == [[255, 255, 255]] * 4
    assert frames[2].pixels[6, 15].tolist() == [255, 0, 0]


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_a_single_picture_is_a_photo(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (20, 12), "red").save(tmp_path / f"a.{suffix}")
    assert is_photo(tmp_path / f"a.{suffix}")


def test_pictures_shorter_than_a_screen_can_show_take_a_tenth_of_a_second(tmp_path: Path) -> None:
    source = AnimationSource(_animation(tmp_path / "a.gif", (0, 10, 20, 0)))
    assert [frame.pts for frame in source.frames()] == [0, 100, 200, 220]
    assert source.info.end_pts == 320


def test_a_cut_counts_from_its_first_picture(tmp_path: Path) -> None:
    source = AnimationSource(_animation(tmp_path / "a.webp"), start_s=0.1, end_s=0.64)
    assert [(frame.seq, frame.pts) for frame in source.frames()] == [(0, 100), (1, 600)]
    assert [(frame.seq, frame.pts) for frame in source.frames(1)] == [(1, 600)]
    assert (source.info.frames, source.info.end_pts) == (2, 640)
    with pytest.raises(UsageError, match="nothing lies between"):
        AnimationSource(_animation(tmp_path / "b.webp"), start_s=9)
