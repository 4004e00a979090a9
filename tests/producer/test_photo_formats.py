"""Every kind of photo comes in with its colours and goes out as a file that Pillow and ImageMagick open."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from pipeline import formats
from pipeline.errors import UsageError
from producer.source import expand, open_source
from tests.independent import magick, run
from tests.media import picture
from viewer.segments import SinkOptions
from viewer.sink import open_sink

# ImageMagick's words for each kind of TIFF; LAB differs by its white point (D65 there, D50 by TIFF's definition).
TIFFS = {
    "rgb": "", "rgb 16": "-depth 16", "rgb 32": "-depth 32", "rgb 12": "-depth 12",
    "rgb float": "-depth 32 -define quantum:format=floating-point",
    "rgb double": "-depth 64 -define quantum:format=floating-point",
    "grey": "-colorspace gray", "grey 16": "-colorspace gray -depth 16", "grey 32": "-colorspace gray -depth 32",
    "grey float": "-colorspace gray -depth 32 -define quantum:format=floating-point",
    "grey 4": "-colorspace gray -depth 4", "grey big endian": "-colorspace gray -depth 16 -endian msb",
    "white is zero": "-colorspace gray -define quantum:polarity=min-is-white",
    "cmyk": "-colorspace CMYK", "cmyk 16": "-colorspace CMYK -depth 16", "ycbcr": "-colorspace YCbCr",
    "jpeg": "-colorspace YCbCr -compress jpeg -quality 97", "lab": "-colorspace Lab",
    "lab 16": "-colorspace Lab -depth 16",
    "planar": "-interlace plane", "planar 16": "-interlace plane -depth 16", "palette": "-colors 16 -type palette",
    "bilevel": "-type bilevel", "group 4": "-type bilevel -compress group4",
    "tiled": "-define tiff:tile-geometry=16x16",
    "lzw": "-compress lzw", "zstd": "-compress zstd", "packbits": "-compress rle", "big endian": "-endian msb",
    "turned": "-orient RightTop", "mirrored": "-orient TopRight",
}  # fmt: skip
WITH_ALPHA = {
    "rgba": "", "rgba 16": "-depth 16", "grey alpha": "-colorspace gray", "planar rgba": "-interlace plane",
}  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A colourful picture, once without and once with alpha."""
    folder = tmp_path_factory.mktemp("base")
    rgb = np.ascontiguousarray(picture(2, 64, 48)[:, :, ::-1])
    alpha = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    Image.fromarray(rgb).save(folder / "rgb.png")
    Image.fromarray(np.dstack([rgb, alpha])).save(folder / "rgba.png")
    return folder


def _paint(source_path: Path, output: Path) -> NDArray[np.uint8]:
    """Copy one photo through source and sink; return its pixels, H×W×3 RGB."""
    source = open_source(source_path)
    (frame,) = source.frames()
    sink = open_sink(source_path, output, source.info, SinkOptions(painting="test"))
    sink.write(frame)
    sink.finish()
    sink.close()
    return frame.pixels[:, :, ::-1]


def _apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other).mean())


def _assert_opens(output: Path, pixels: NDArray[np.uint8], tolerance: float = 0.0) -> None:
    with Image.open(output) as image:
        assert _apart(np.asarray(image.convert("RGB")), pixels) <= tolerance
    assert _apart(magick(output), pixels) <= tolerance


@pytest.mark.parametrize("kind", [*TIFFS, *WITH_ALPHA])
def test_a_tiff_of_any_kind_is_read_and_written(base: Path, tmp_path: Path, kind: str) -> None:
    photo = tmp_path / "photo.tif"
    words = {**TIFFS, **WITH_ALPHA}[kind].split()
    run("convert", base / ("rgba.png" if kind in WITH_ALPHA else "rgb.png"), *words, photo)
    pixels = _paint(photo, tmp_path / "out.tif")
    assert _apart(pixels, magick(photo)) <= (5.0 if "lab" in kind else 1.0)
    _assert_opens(tmp_path / "out.tif", pixels)


@pytest.mark.parametrize("words", ["-colorspace CMYK -alpha on", "-depth 16 -define quantum:format=floating-point"])
def test_a_tiff_nobody_here_reads_is_refused_in_one_line(base: Path, tmp_path: Path, words: str) -> None:
    photo = tmp_path / "photo.tif"
    run("convert", base / "rgb.png", *words.split(), photo)
    with pytest.raises(UsageError, match=r"save it (as RGB )?with 8 or 16 bits"):
        open_source(photo)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".avif", ".jp2", ".ppm", ".tga"])
def test_every_written_format_opens_elsewhere(base: Path, tmp_path: Path, suffix: str) -> None:
    photo = tmp_path / f"photo{suffix}"
    Image.open(base / "rgb.png").save(photo, **({"lossless": True} if suffix == ".webp" else {}))
    output = tmp_path / f"out{formats.photo_suffix(photo)}"
    pixels = _paint(photo, output)
    with Image.open(photo) as image:
        assert _apart(pixels, np.asarray(image.convert("RGB"))) == 0
    with Image.open(output) as image:
        assert image.format == formats.writers()[output.suffix]
        assert _apart(np.asarray(image.convert("RGB")), pixels) <= 3
    if output.suffix != ".avif":
        assert _apart(magick(output), pixels) <= 3


def test_a_phones_photo_is_read_and_becomes_a_jpeg(base: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.heic"
    run("convert", base / "rgb.png", "-quality", "95", photo)
    output = tmp_path / f"out{formats.photo_suffix(photo)}"
    pixels = _paint(photo, output)
    assert output.suffix == ".jpg"
    # As Debian's libheif shows it; chroma has half the size and may be spread otherwise.
    assert _apart(pixels, magick(photo)) <= 2.0
    _assert_opens(output, pixels, 1.5)


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".png", ".webp"])
def test_exif_is_kept_without_what_describes_the_sources_pixels(base: Path, tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "Acme Cameras", 0x8298: "me"})
    exif.get_ifd(0x8769).update({0x9003: "2026:05:04 10:00:00", 0xA002: 64, 0xA003: 48, 0x927C: b"maker" * 9})
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 3.0)})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo, output = tmp_path / "photo.tif", tmp_path / f"out{suffix}"
    # A TIFF whose own first directory holds the description.
    Image.open(base / "rgb.png").save(photo, exif=exif.tobytes(), icc_profile=profile, dpi=(300, 300))
    pixels = _paint(photo, output)
    _assert_opens(output, pixels, 0.0 if suffix in (".tif", ".png") else 3.0)
    with Image.open(output) as image:
        kept = image.getexif()
        assert (kept[0x0112], kept[0x010F], kept[0x8298]) == (1, "Acme Cameras", "me")
        details = kept.get_ifd(0x8769)
        assert (details[0x9003], details[0xA002], details[0xA003]) == ("2026:05:04 10:00:00", 48, 64)
        assert kept.get_ifd(0x8825)[2] == (48.0, 8.0, 3.0)
        assert image.size == (48, 64)
        assert image.info["icc_profile"] == profile


@pytest.mark.parametrize(
    ("name", "head", "advice"),
    [
        ("a.jxl", b"\xff\x0a", "JPEG XL is not read; save it as JPEG, PNG or TIFF first"),
        ("a.nef", b"MM\0*", "camera raw is not read; develop it to TIFF or JPEG first"),
        ("a.CR2", b"II*\0\x10\0\0\0CR\x02", "camera raw is not read; develop"),
        ("a.exr", b"v/1\x01", "OpenEXR is not read; save it"),
    ],
)
def test_a_known_format_that_is_not_read_is_refused_by_name(
    tmp_path: Path, name: str, head: bytes, advice: str
) -> None:
    photo = tmp_path / name
    photo.write_bytes(head + bytes(200))
    with pytest.raises(UsageError, match=advice):
        open_source(photo)


def test_a_folder_says_in_one_line_what_it_leaves_out(base: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes((base / "rgb.png").read_bytes())
    for name in ("notes.txt", "more.txt", "song.mp3", "new.jxl", "README"):
        (tmp_path / name).touch()
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    said: list[str] = []
    assert expand([str(tmp_path)], said.append) == [tmp_path]
    assert said == [
        f"{tmp_path}: left out 1 JPEG XL is not read; save it as JPEG, PNG or TIFF first, "
        "1 link to nothing, 1 without a suffix, 2 .txt, 1 others"
    ]


def test_the_list_of_formats_agrees_with_itself() -> None:
    suffixes = [suffix for known in formats.FORMATS for suffix in known.suffixes]
    assert len(suffixes) == len(set(suffixes))
    Image.init()
    assert set(formats.writers().values()) <= set(Image.SAVE)
    photos = [known for known in formats.FORMATS if known.kind is not formats.Kind.VIDEO and not known.refused]
    read = {suffix for known in photos for suffix in known.suffixes}
    assert read - set(Image.registered_extensions()) <= {".heic", ".heif", ".hif"}, "Pillow knows all but HEIC"
