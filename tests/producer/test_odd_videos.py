"""Videos as the world has them: HDR, interlaced, of changing size, without their last packets. Each comes out right."""

from fractions import Fraction
from pathlib import Path

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
import numpy as np
import pytest

from pipeline.errors import SourceError
from producer.deinterlace import deinterlaced
from producer.tonemap import HLG, PQ, SDR_TAGS, Signal, to_sdr
from producer.video import VideoSource
from tests.media import Clip, make_clip, picture, psnr, pts_of
from tests.viewer.copying import copy

HDR = {"colorspace": 9, "color_primaries": 9, "color_range": 1}


@pytest.mark.parametrize(
    ("transfer", "white"),
    # Reference white (203 cd/m²) in each signal: BT.2408, table 1.
    [pytest.param(PQ, 0.58, id="pq"), pytest.param(HLG, 0.75, id="hlg")],
)
def test_hdr_keeps_its_greys_grey_in_order_and_reference_white_bright(transfer: int, white: float) -> None:
    steps = np.linspace(0.0, 1.0, 256)
    ramp = np.repeat(np.rint(steps * 65535).astype(np.uint16)[None, :, None], 3, axis=2)
    shown = to_sdr(ramp, Signal(transfer))[0]
    assert np.ptp(shown.astype(int), axis=1).max() <= 1, "grey stays grey"
    assert (np.diff(shown[:, 1].astype(int)) >= 0).all()
    assert shown[0].max() == 0
    assert shown[-1].min() >= 254
    assert 205 <= int(shown[round(white * 255)].mean()) <= 240


def test_a_colour_of_the_smaller_gamut_keeps_its_hue() -> None:
    """BT.709's red at a quarter of white, written as PQ in BT.2020, comes back as red and nothing else."""
    red_2020 = np.array([0.0164, 0.0691, 0.6274]) * 0.25  # B, G, R of linear BT.709 red (BT.2087-0)
    nits = red_2020 * 203 / 10000
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    signal = ((c1 + c2 * nits**m1) / (1 + c3 * nits**m1)) ** m2
    blue, green, red = to_sdr(np.rint(signal * 65535).astype(np.uint16)[None, None], Signal(PQ))[0, 0].tolist()
    assert red == pytest.approx(255 * 0.25 ** (1 / 2.4), abs=6)
    assert max(blue, green) < 12


@pytest.mark.parametrize("transfer", [PQ, HLG], ids=["pq", "hlg"])
def test_an_hdr_video_says_and_is_sdr(tmp_path: Path, transfer: int) -> None:
    clip = Clip(pix_fmt="yuv420p10le", tags={**HDR, "color_trc": transfer})
    source = VideoSource(make_clip(tmp_path / "hdr.mp4", clip))
    assert source.info.colour == SDR_TAGS
    frames = list(source.frames())
    assert [frame.seq for frame in frames] == list(range(12))
    shown = frames[3].pixels
    assert (shown.dtype, shown.shape) == (np.uint8, (96, 128, 3))
    # The same greys are far darker as PQ than read as if they were SDR.
    assert np.ptp(shown) > 60
    assert np.array_equal(next(source.frames(3)).pixels, shown)


def test_an_interlaced_video_has_no_combs_and_every_frame(tmp_path: Path) -> None:
    path = tmp_path / "fields.mp4"
    options = {"crf": "4", "x264-params": "interlaced=1:tff=1:bframes=0"}
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25, options=options)
        video.width, video.height, video.pix_fmt = 128, 96, "yuv420p"
        for number in range(8):
            woven = _column(2 * number * 6)
            woven[1::2] = _column((2 * number + 1) * 6)[1::2]
            out.mux(video.encode(av.VideoFrame.from_ndarray(woven, format="bgr24")))
        out.mux(video.encode(None))
    frames = list(VideoSource(path).frames())
    assert len(frames) == 8
    for number, frame in enumerate(frames):
        assert psnr(frame.pixels, _column(2 * number * 6)) > 25, number


def test_a_still_interlaced_picture_keeps_every_row() -> None:
    still = picture(3)
    assert psnr(deinterlaced(still), still) > 30
    odd = still[:95]
    assert deinterlaced(odd).shape == odd.shape
    assert deinterlaced(still[:1]).shape == (1, 128, 3)


def test_a_video_of_changing_size_comes_in_the_size_it_began_with(tmp_path: Path) -> None:
    path = tmp_path / "sizes.h264"
    parts = [make_clip(tmp_path / f"{width}.h264", Clip(frames=6, width=width, height=96)) for width in (128, 256)]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    source = VideoSource(path)
    shapes = [frame.pixels.shape for frame in source.frames()]
    assert set(shapes) == {(96, 128, 3)}
    assert len(shapes) == 12


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_missing_last_packets_cost_those_pictures_only(tmp_path: Path, suffix: str) -> None:
    whole = make_clip(tmp_path / f"clip.{suffix}", Clip(frames=60, options={"crf": "4", "bf": "2", "g": "6"}))
    data = whole.read_bytes()
    every = list(VideoSource(whole).frames())
    whole.write_bytes(data[: int(len(data) * 0.9)])
    found = []
    try:
        for frame in VideoSource(whole).frames():
            found.append(frame)  # noqa: PERF402  the frames before the break count
    except SourceError as error:
        assert "\n" not in str(error)
    assert 45 <= len(found) < 60
    assert [frame.pts for frame in found[:-3]] == [frame.pts for frame in every[: len(found) - 3]]


def test_timestamps_below_zero_stay_as_they_are_and_the_output_begins_at_it(tmp_path: Path) -> None:
    early = [-5 + n for n in range(12)]
    options = {"avoid_negative_ts": "disabled"}
    clip = make_clip(tmp_path / "clip.ts", Clip(pts=early, time_base=Fraction(1, 25), audio=("aac",), muxing=options))
    source = VideoSource(clip)
    assert [frame.pts * source.info.time_base for frame in source.frames()] == [Fraction(n, 25) for n in early]
    assert pts_of(copy(clip, tmp_path / "out.mp4")) == [Fraction(n, 25) for n in range(12)]


def _column(at: int) -> np.ndarray:
    """A bright column on a dark ground."""
    pixels = np.full((96, 128, 3), 40, np.uint8)
    pixels[:, at % 112 : at % 112 + 16] = 200
    return pixels
