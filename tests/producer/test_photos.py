"""Photos come in as people see them: upright, in 8-bit RGB, and never above the size limit."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.errors import SourceError, UsageError
from pipeline.protocol.frame import Codec
from producer.photos import PhotoSource
from tests.media import picture

RGB = np.ascontiguousarray(picture(2, 60, 40)[:, :, ::-1])


def _read(path: Path, **options: int) -> np.ndarray:
    (frame,) = PhotoSource(path.parent, [path.name], **options).frames()
    assert frame.pixels.dtype == np.uint8
    assert frame.pixels.flags["C_CONTIGUOUS"]
    return frame.pixels


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = Image.fromarray(RGB)
    stored = {
        1: lambda p: p,
        2: lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda p: p.transpose(Image.Transpose.ROTATE_180),
        4: lambda p: p.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda p: p.transpose(Image.Transpose.TRANSPOSE),
        6: lambda p: p.transpose(Image.Transpose.ROTATE_90),
        7: lambda p: p.transpose(Image.Transpose.TRANSVERSE),
        8: lambda p: p.transpose(Image.Transpose.ROTATE_270),
    }[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "photo.png", exif=exif)
    assert np.array_equal(_read(tmp_path / "photo.png"), RGB[:, :, ::-1])


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp"])
def test_lossless_formats_arrive_unchanged(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(RGB).save(tmp_path / f"photo.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    assert np.array_equal(_read(tmp_path / f"photo.{suffix}"), RGB[:, :, ::-1])


def test_alpha_is_laid_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:2, :, :3], pixels[:2, :, 3] = 200, 255
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    read = _read(tmp_path / "photo.png")
    assert (read[:2] == 200).all()
    assert (read[2:] == 255).all()


def test_a_palette_with_a_transparent_colour_is_laid_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "photo.png", transparency=0)
    assert _read(tmp_path / "photo.png").tolist() == [[[255, 255, 255], [60, 50, 40]]]


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    grey = np.array([[0, 257 * 100, 65535]], np.uint16)
    Image.fromarray(grey).save(tmp_path / "photo.png")
    assert _read(tmp_path / "photo.png")[0, :, 0].tolist() == [0, 100, 255]


def test_greys_and_inks_become_colours(tmp_path: Path) -> None:
    Image.fromarray(RGB).convert("L").save(tmp_path / "grey.jpg", quality=95)
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "inks.jpg", quality=95)
    assert _read(tmp_path / "grey.jpg").shape == (40, 60, 3)
    assert np.abs(_read(tmp_path / "inks.jpg").astype(int) - RGB[:, :, ::-1]).mean() < 6


@pytest.mark.parametrize("suffix", ["png", "gif", "webp"])
def test_an_animation_gives_its_first_picture(tmp_path: Path, suffix: str) -> None:
    first, second = Image.new("RGB", (20, 20), "red"), Image.new("RGB", (20, 20), "blue")
    first.save(tmp_path / f"photo.{suffix}", save_all=True, append_images=[second], lossless=True)
    assert _read(tmp_path / f"photo.{suffix}")[0, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize("alpha", [None, 65535, 32768], ids=["no alpha", "opaque", "half"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_of_colour_keep_it_over_white(tmp_path: Path, suffix: str, alpha: int | None) -> None:
    colours = np.arange(18, dtype=np.uint16).reshape(2, 3, 3) * 3600
    layers = colours if alpha is None else np.dstack([colours, np.full((2, 3), alpha, np.uint16)])
    cv2.imwrite(str(tmp_path / f"photo.{suffix}"), layers)
    share = 1.0 if alpha is None else alpha / 65535
    expected = colours / 257 * share + 255 * (1 - share)
    assert np.abs(_read(tmp_path / f"photo.{suffix}") - expected).max() < 2


def test_a_photo_above_the_limit_is_refused_by_its_header(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(UsageError, match=r"bomb.png: not a readable photo"):
        PhotoSource(tmp_path, ["bomb.png"])
    Image.fromarray(RGB).save(tmp_path / "photo.png")
    with pytest.raises(UsageError, match="60×40 is more than the 2399 pixels allowed"):
        PhotoSource(tmp_path, ["photo.png"], max_pixels=2399)


def test_what_is_not_a_photo_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("not a photo")
    with pytest.raises(UsageError, match="not a picture of a known kind") as caught:
        PhotoSource(tmp_path, ["photo.jpg"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("start", [0, 1, 2])
def test_broken_photos_are_left_out_and_named_at_the_end(tmp_path: Path, start: int) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        Image.fromarray(RGB).save(tmp_path / name)
    whole = (tmp_path / "b.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(whole[: len(whole) // 2])
    source = PhotoSource(tmp_path, ["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    frames = []
    with pytest.raises(SourceError, match=r"1 of 4 photos cannot be read: b\.jpg"):
        for frame in source.frames(start):
            frames.append((frame.seq, frame.name))  # noqa: PERF401  those before the error count
    assert frames == [(0, "a.jpg"), (1, "c.jpg"), (2, "d.jpg")][start:]


def test_photos_of_a_folder_cross_losslessly_each_in_its_size(tmp_path: Path) -> None:
    sizes = {"a.png": (30, 20), "b.png": (17, 33)}
    for name, (width, height) in sizes.items():
        Image.new("RGB", (width, height)).save(tmp_path / name)
    source = PhotoSource(tmp_path, sorted(sizes))
    assert (source.info.codec, source.info.width, source.info.frames) == (Codec.PNG, 0, 2)
    assert [frame.pixels.shape for frame in source.frames()] == [(20, 30, 3), (33, 17, 3)]


def test_inks_with_a_profile_go_through_it(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # A profile that does not fit the picture must not lose the picture.
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "inks.jpg", icc_profile=profile, quality=95)
    assert _read(tmp_path / "inks.jpg").shape == (40, 60, 3)
