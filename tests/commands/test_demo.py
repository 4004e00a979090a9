"""The demo's picture: a column for the source and each style, a row for each moment, the same moment in each row."""

from pathlib import Path

import numpy as np
from PIL import Image

from commands.demo import before_after
from tests.media import Clip, make_clip


def test_picture_sets_the_same_moments_side_by_side(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "clip.mp4", Clip(frames=20, width=160, height=90))
    picture = tmp_path / "picture.png"
    before_after(source, {"same": source, "again": source}, picture)
    with Image.open(picture) as opened:
        pixels = np.asarray(opened)
    assert pixels.shape == (36 + 3 * (6 + 360), 3 * 640 + 2 * 6, 3)
    rows = [pixels[42 + row * 366 : 402 + row * 366] for row in range(3)]
    for row in rows:
        assert np.array_equal(row[:, :640], row[:, 646:1286])
        assert np.array_equal(row[:, :640], row[:, 1292:])
    assert not np.array_equal(rows[0], rows[2])


def test_picture_of_a_single_photo_has_one_row(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (64, 32), "orange").save(photo)
    before_after(photo, {"same": photo}, tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as opened:
        assert opened.size == (640 * 2 + 6, 36 + 6 + 320)
