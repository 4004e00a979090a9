"""HDR in colour: what each film shows, computed from the standards and by ffmpeg's zscale, is what a painter gets."""

from pathlib import Path

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
import numpy as np
import pytest
from numpy.typing import NDArray

from producer.readers import FileReader, UrlReader
from producer.tonemap import HLG, PQ, SDR_TAGS
from producer.video import VideoSource
from tests.independent import pictures
from tests.producer.web import served

# Linear light of BT.709, R G B, 1 at 203 cd/m²: below 92 cd/m² tone mapping leaves everything as it is.
COLOURS = {
    "red": (0.40, 0.02, 0.02), "green": (0.03, 0.36, 0.05), "blue": (0.02, 0.04, 0.40), "skin": (0.36, 0.20, 0.13),
    "sky": (0.12, 0.22, 0.42), "leaf": (0.06, 0.12, 0.02), "grey": (0.18, 0.18, 0.18), "dark": (0.010, 0.012, 0.008),
}  # fmt: skip
LIGHT = np.array(list(COLOURS.values()))
# Linear BT.709 to BT.2020, and to P3 with D65: BT.2087-0; SMPTE EG 432-1.
TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
TO_P3 = np.array([[0.8225, 0.1774, 0.0000], [0.0332, 0.9669, 0.0000], [0.0171, 0.0724, 0.9108]])
EXPECTED = np.rint(255 * LIGHT ** (1 / 2.4))


def _pq(light: NDArray[np.float64]) -> NDArray[np.float64]:
    power = (light * 203 / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def _hlg(light: NDArray[np.float64]) -> NDArray[np.float64]:
    display = light * 203 / 1000
    luma = display @ np.array([0.2627, 0.6780, 0.0593])
    scene = display * luma[..., None] ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


def _film(path: Path, transfer: int, *, pix_fmt: str, codec: str = "ffv1", primaries: int = 9) -> Path:
    """Write three pictures of eight patches, each 32×32, in 4 columns and 2 rows."""
    wide = LIGHT @ {9: TO_2020, 12: TO_P3}[primaries].T
    red, green, blue = (_pq(wide) if transfer == PQ else _hlg(wide)).T
    luma = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    signal = (219 * luma + 16, 224 * (blue - luma) / 1.8814 + 128, 224 * (red - luma) / 1.4746 + 128)
    with av.open(str(path), "w") as out:
        options = {"x265-params": "lossless=1:log-level=none"} if codec == "libx265" else {}
        video = out.add_stream(codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt = 128, 64, pix_fmt
        context = video.codec_context
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = 9, primaries, transfer, 1
        for _ in range(3):
            out.mux(video.encode(_patches(signal, pix_fmt)))
        out.mux(video.encode(None))
    return path


def _patches(signal: tuple[NDArray[np.float64], ...], pix_fmt: str) -> av.VideoFrame:
    frame = av.VideoFrame(128, 64, pix_fmt)
    bits = frame.format.components[0].bits
    for plane, values in zip(frame.planes, signal, strict=True):
        levels = np.rint(values * 2 ** (bits - 8)).astype(np.uint8 if bits == 8 else np.uint16).reshape(2, 4)
        rows = np.repeat(np.repeat(levels, plane.height // 2, 0), plane.width // 4, 1)
        line = np.zeros((plane.height, plane.line_size // rows.itemsize), rows.dtype)
        line[:, : plane.width] = rows
        plane.update(line.tobytes())
    return frame


def _centres(pixels: NDArray[np.uint8]) -> NDArray[np.int_]:
    """Return 8×3 RGB, the middles of the patches."""
    return pixels[16::32, 16::32, ::-1].reshape(8, 3).astype(int)


def _assert_colours(pixels: NDArray[np.uint8], tolerance: int) -> None:
    apart = np.abs(_centres(pixels) - EXPECTED)
    worst = int(apart.max(1).argmax())
    assert apart.max() <= tolerance, (list(COLOURS)[worst], _centres(pixels)[worst], EXPECTED[worst])


@pytest.mark.parametrize("transfer", [PQ, HLG], ids=["pq", "hlg"])
@pytest.mark.parametrize(
    ("pix_fmt", "tolerance"),
    # The signal itself is that coarse: one step of ten bits is 2 of 255 in the dark of the smallest colour.
    [
        ("yuv420p", 14),
        ("yuv420p10le", 4),
        ("yuv422p10le", 4),
        ("yuv444p10le", 4),
        ("yuv420p12le", 2),
        ("yuv444p16le", 2),
    ],
)
def test_a_film_has_the_colours_it_was_made_with(tmp_path: Path, transfer: int, pix_fmt: str, tolerance: int) -> None:
    source = VideoSource(_film(tmp_path / "film.mkv", transfer, pix_fmt=pix_fmt))
    assert source.info.colour == SDR_TAGS
    frames = list(source.frames())
    assert len(frames) == 3
    _assert_colours(frames[-1].pixels, tolerance)


def test_primaries_that_are_not_bt2020_keep_their_hue(tmp_path: Path) -> None:
    film = _film(tmp_path / "p3.mkv", PQ, pix_fmt="yuv420p12le", primaries=12)
    _assert_colours(next(VideoSource(film).frames()).pixels, 2)


@pytest.mark.parametrize("transfer", [PQ, HLG], ids=["pq", "hlg"])
def test_every_way_of_reading_agrees_on_a_phones_film(tmp_path: Path, transfer: int) -> None:
    film = _film(tmp_path / "phone.mp4", transfer, pix_fmt="yuv420p10le", codec="libx265")
    files = FileReader(film, loop=False, max_pixels=1 << 20)
    picture = files.read()
    assert picture is not None
    _assert_colours(picture.pixels, 4)
    with served(film) as url:
        stream = UrlReader(url, max_pixels=1 << 20)
        streamed = stream.read()
        stream.close()
    assert streamed is not None
    assert np.array_equal(streamed.pixels, picture.pixels)
    assert np.array_equal(next(VideoSource(film).frames()).pixels, picture.pixels)


def test_ffmpegs_own_conversion_agrees(tmp_path: Path) -> None:
    film = _film(tmp_path / "film.mkv", PQ, pix_fmt="yuv420p10le")
    theirs = pictures(film, "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709:t=bt709:m=gbr:r=full,format=gbrp")
    ours = next(VideoSource(film).frames()).pixels
    assert np.abs(_centres(ours) - theirs[0][16::32, 16::32].reshape(8, 3)).max() <= 3
