"""Painted photos keep name, format, EXIF and profile, and appear when all are there."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.errors import SinkError, UsageError
from pipeline.protocol.frame import Codec, EncodedFrame, Frame
from pipeline.protocol.wire import Limits, pack_frame, unpack_frame
from producer.source import open_source
from tests.media import picture, psnr
from viewer.segments import SinkOptions
from viewer.sink import open_sink

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
OPTIONS = SinkOptions(painting="test")


def _photo(path: Path, number: int, **save: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(picture(number, 60, 40)[:, :, ::-1])).save(path, **save)
    return path


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Acme Cameras"
    exif.get_ifd(0x8769)[0x9003] = "2026:05:04 10:00:00"
    _photo(folder / "a.jpg", 1, exif=exif, icc_profile=SRGB, quality=97)
    _photo(folder / "b.png", 2)
    _photo(folder / "sub" / "c.webp", 3)
    _photo(folder / "d.tif", 4, dpi=(300, 300))
    return folder


def _paint(source_path: Path, output: Path, stop_after: int | None = None) -> int:
    """Copy photos to their sink; return where it went on from."""
    source = open_source(source_path)
    sink = open_sink(source_path, output, source.info, OPTIONS)
    start = sink.next_seq()
    for frame in source.frames(start):
        if frame.seq == stop_after:
            sink.close()
            return start
        sink.write(frame)
    sink.finish()
    sink.close()
    return start


def test_each_photo_keeps_its_name_format_and_pixels(album: Path, tmp_path: Path) -> None:
    output = tmp_path / "album.wave"
    _paint(album, output)
    found = {str(path.relative_to(output)): path for path in output.rglob("*") if path.is_file()}
    assert sorted(found) == ["a.jpg", "b.png", "d.tif", "sub/c.webp"]
    for name, kind, least in (("b.png", "PNG", 99), ("d.tif", "TIFF", 99), ("sub/c.webp", "WEBP", 30)):
        with Image.open(found[name]) as one, Image.open(album / name) as other:
            assert one.format == kind
            assert psnr(np.asarray(one.convert("RGB")), np.asarray(other.convert("RGB"))) >= least


def test_exif_and_profile_come_along_and_the_photo_stands_upright(album: Path, tmp_path: Path) -> None:
    _paint(album / "a.jpg", tmp_path / "a.wave.jpg")
    with Image.open(tmp_path / "a.wave.jpg") as image:
        assert image.size == (40, 60)
        exif = image.getexif()
        assert (exif[0x0112], exif[0x010F]) == (1, "Acme Cameras")
        assert exif.get_ifd(0x8769)[0x9003] == "2026:05:04 10:00:00"
        assert image.info["icc_profile"] == SRGB


def test_resolution_comes_along(album: Path, tmp_path: Path) -> None:
    _paint(album / "d.tif", tmp_path / "d.wave.tif")
    with Image.open(tmp_path / "d.wave.tif") as image:
        assert image.info["dpi"] == (300, 300)


def test_a_profile_of_greys_is_not_claimed_for_colours(tmp_path: Path) -> None:
    grey = SRGB[:16] + b"GRAY" + SRGB[20:]
    photo = tmp_path / "grey.jpg"
    Image.new("L", (20, 20), 90).save(photo, icc_profile=grey)
    _paint(photo, tmp_path / "grey.wave.jpg")
    with Image.open(tmp_path / "grey.wave.jpg") as image:
        assert "icc_profile" not in image.info


def test_a_folder_appears_only_when_all_its_photos_are_painted(album: Path, tmp_path: Path) -> None:
    output = tmp_path / "album.wave"
    assert _paint(album, output, stop_after=2) == 0
    assert not output.exists()
    assert _paint(album, output) == 2
    assert len([path for path in output.rglob("*") if path.is_file()]) == 4
    assert not (tmp_path / "album.wave.parts").exists()


def test_a_changed_folder_starts_afresh(album: Path, tmp_path: Path) -> None:
    output = tmp_path / "album.wave"
    _paint(album, output, stop_after=2)
    _photo(album / "aa.png", 5)
    assert _paint(album, output) == 0
    assert (output / "aa.png").exists()


def test_a_failed_job_leaves_the_photos_painted_so_far(album: Path, tmp_path: Path) -> None:
    output = tmp_path / "album.wave"
    source = open_source(album)
    sink = open_sink(album, output, source.info, OPTIONS)
    first = next(source.frames())
    sink.write(first)
    partial = sink.keep_partial()
    sink.close()
    assert partial == tmp_path / "album.wave.partial"
    assert [path.name for path in partial.iterdir()] == ["a.jpg"]
    assert not output.exists()


@pytest.mark.parametrize("name", ["../outside.png", "/tmp/outside.png"])
def test_no_name_leads_out_of_the_output_folder(album: Path, tmp_path: Path, name: str) -> None:
    sink = open_sink(album, tmp_path / "album.wave", open_source(album).info, OPTIONS)
    with pytest.raises(SinkError, match="leads out of the output folder"):
        sink.write(Frame(0, 0, picture(0), name))
    sink.close()


@pytest.mark.parametrize(
    ("output", "message"), [("a.gif", "a photo is written as"), ("missing/a.jpg", "no such folder for the output")]
)
def test_an_impossible_output_is_refused_before_work_begins(
    album: Path, tmp_path: Path, output: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        open_sink(album / "a.jpg", tmp_path / output, open_source(album / "a.jpg").info, OPTIONS)


def test_names_that_are_not_utf8_and_links_to_nothing_cost_no_photo(tmp_path: Path) -> None:
    folder, output = tmp_path / "album", tmp_path / "album.wave"
    odd = os.fsdecode(b"latin-\xe9.tif")
    _photo(folder / odd, 1)
    _photo(folder / "b.png", 2)
    (folder / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (folder / "notes.txt").touch()
    _paint(folder, output)
    assert {path.name for path in output.iterdir()} == {odd, "b.png"}


def test_a_name_that_is_not_utf8_crosses_the_wire() -> None:
    name = os.fsdecode(b"sub/latin-\xe9.png")
    frame = EncodedFrame(0, 0, Codec.RAW, 2, 1, bytes(6), name)
    assert unpack_frame(pack_frame(frame), Limits(100, 1000)).name == name


def test_one_photo_whose_name_is_not_utf8_is_painted(tmp_path: Path) -> None:
    photo = _photo(tmp_path / os.fsdecode(b"latin-\xe9.tif"), 1)
    output = tmp_path / os.fsdecode(b"latin-\xe9.wave.tif")
    _paint(photo, output)
    with Image.open(output.rename(tmp_path / "plain.tif")) as image:
        assert image.size == (60, 40)
