"""What each encoder and container gives, as Debian's ffprobe, ffmpeg and Pillow see it: colours, times, sound."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import UsageError
from producer.video import VideoSource
from tests.independent import ffmpeg, pictures, probe, shown
from tests.media import Clip, make_clip
from tests.viewer.copying import copy, write
from viewer.segments import SinkOptions
from viewer.sink import open_sink

_PTS = [0, 512, 1300, 1800, 5000, 5512, 9001, 9602, 20000, 20700, 21000, 30000]  # of 1/12800 s

_EXACT = "scale=flags=accurate_rnd+full_chroma_int+bilinear,format=rgb24"


def _colourful(path: Path) -> Path:
    """Write a clip of uneven times with patches of all colours, and sound."""
    film = path.with_suffix(".mkv")
    ffmpeg(
        *("-f", "lavfi", "-i", "smptebars=s=128x96:r=25:d=0.6", "-f", "lavfi", "-i", "sine=d=0.6"),
        *("-vf", "setpts='N/25/TB+0.01/TB*gte(N\\,5)'", "-fps_mode", "passthrough", "-enc_time_base", "1/1000"),
        *("-c:v", "libx264", "-crf", "6", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac", film),
    )
    return film


@pytest.mark.parametrize(
    ("suffix", "options", "codec", "pix_fmt", "sound"),
    [
        ("mp4", SinkOptions(encoder="hevc"), "hevc", "yuv420p", "aac"),
        ("mkv", SinkOptions(encoder="hevc", pix_fmt="yuv420p10le", crf=12), "hevc", "yuv420p10le", "aac"),
        ("mp4", SinkOptions(encoder="av1", pix_fmt="yuv420p10le", preset="12"), "av1", "yuv420p10le", "aac"),
        ("webm", SinkOptions(encoder="av1"), "av1", "yuv420p", "opus"),
        ("webm", SinkOptions(), "vp9", "yuv420p", "opus"),
        ("mkv", SinkOptions(encoder="vp9", preset="8"), "vp9", "yuv420p", "aac"),
        ("mov", SinkOptions(encoder="prores"), "prores", "yuv422p10le", "aac"),
        ("mov", SinkOptions(encoder="prores", preset="4444"), "prores", "yuv444p10le", "aac"),
        ("mkv", SinkOptions(encoder="ffv1"), "ffv1", "bgr0", "aac"),
        ("mp4", SinkOptions(pix_fmt="yuv420p10le"), "h264", "yuv420p10le", "aac"),
    ],
    ids=lambda value: value.encoder + value.pix_fmt if isinstance(value, SinkOptions) else str(value),
)
def test_each_encoder_writes_the_same_pictures_at_the_same_times(
    tmp_path: Path, suffix: str, options: SinkOptions, codec: str, pix_fmt: str, sound: str
) -> None:
    clip = _colourful(tmp_path / "clip")
    settings = replace(options, segment_frames=6)
    output = copy(clip, tmp_path / f"out.{suffix}", settings)
    tracks = probe(output)["streams"]
    assert [track["codec_name"] for track in tracks] == [codec, sound]
    assert tracks[0]["pix_fmt"] == pix_fmt
    if codec == "hevc" and suffix == "mp4":
        assert tracks[0]["codec_tag_string"] == "hvc1"
    before, after = ([picture.at_s for picture in shown(path)] for path in (clip, output))
    assert len(before) == len(after) == 15
    assert max(abs(one - other) for one, other in zip(before, after, strict=True)) <= Fraction(1, 1000)
    one, other = (pictures(path, _EXACT).astype(float) for path in (clip, output))
    assert np.abs((one - other).mean(axis=(0, 1, 2))).max() <= 1
    # Between the bars chroma at half the size differs, within them nothing may.
    assert np.percentile(np.abs(one - other), 75) <= 2


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_a_last_segment_of_few_pictures_is_written_in_hevc(tmp_path: Path, frames: int) -> None:
    """x265's decoding times are random there: in one try of three MP4 refused them."""
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=frames))
    for attempt in range(4):
        output = copy(clip, tmp_path / f"{attempt}.mp4", SinkOptions(encoder="hevc", segment_frames=6))
        assert [picture.at_s for picture in shown(output)] == [Fraction(number, 25) for number in range(frames)]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("o.webm", SinkOptions(encoder="h264"), ".webm does not hold h264; it holds vp9, av1"),
        ("o.mp4", SinkOptions(encoder="prores"), ".mp4 does not hold prores"),
        ("o.mov", SinkOptions(encoder="ffv1"), ".mov does not hold ffv1"),
        ("o.mkv", SinkOptions(encoder="prores", crf=20), "--crf is not for prores: its quality is --preset"),
        ("o.mkv", SinkOptions(encoder="av1", crf=64), "av1's quality is --crf 0 .best. to 63"),
        ("o.mkv", SinkOptions(encoder="xvid"), "--encoder xvid: it is one of auto, h264"),
        ("o.mkv", SinkOptions(encoder="vp9", pix_fmt="yuv420p10le"), "libvpx-vp9 takes yuv420p"),
        ("o.gif", SinkOptions(crf=10), ".gif has an encoder of its own"),
        ("o.avi", SinkOptions(), "a video is written as .mp4"),
    ],
)
def test_what_cannot_be_written_is_refused_before_painting(
    tmp_path: Path, name: str, options: SinkOptions, message: str
) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    with pytest.raises(UsageError, match=message):
        open_sink(clip, tmp_path / name, VideoSource(clip).info, options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4"]


def test_a_card_that_is_not_here_is_replaced_by_software_and_said(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=3))
    source = VideoSource(clip)
    sink = open_sink(clip, tmp_path / "out.mp4", source.info, SinkOptions(encoder="hevc_qsv", preset="slow"))
    write(sink, source.frames())
    sink.finish()
    sink.close()
    (line,) = sink.take_notices()
    assert line.startswith("hevc_qsv does not open here (")
    assert line.endswith("); libx265 encodes")
    assert probe(tmp_path / "out.mp4")["streams"][0]["codec_name"] == "hevc"


def test_odd_sizes_become_even_ones_that_phones_play(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(pix_fmt="yuv444p", width=129, height=97, frames=3))
    source = VideoSource(clip)
    sink = open_sink(clip, tmp_path / "out.mp4", source.info)
    write(sink, source.frames())
    sink.finish()
    sink.close()
    assert sink.take_notices() == ["written as 130×98: phones play even sizes alone"]
    track = probe(tmp_path / "out.mp4")["streams"][0]
    assert (track["pix_fmt"], track["width"], track["height"]) == ("yuv420p", 130, 98)
    whole, cut = pictures(clip).astype(float), pictures(tmp_path / "out.mp4").astype(float)
    assert np.abs(whole - cut[:, :97, :129]).mean() < 2
    assert np.abs(cut[:, :, 129] - cut[:, :, 128]).mean() < 3


@pytest.mark.parametrize(("name", "tick_ms"), [("out.gif", 10), ("out.webp", 1), ("out.png", 1)])
def test_an_animation_shows_each_picture_as_long_as_the_film(tmp_path: Path, name: str, tick_ms: int) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(pts=_PTS, width=65, height=49, pix_fmt="yuv444p", audio=("aac",)))
    source = VideoSource(clip)
    for stop_at in (8, 12):  # interrupted once
        sink = open_sink(clip, tmp_path / name, source.info, SinkOptions(segment_frames=5))
        notices = sink.take_notices()
        write(sink, (frame for frame in source.frames(sink.next_seq()) if frame.seq < stop_at))
        if stop_at == 12:
            sink.finish()
        sink.close()
    assert len(notices) == 1
    assert "left out" in notices[0]
    lengths, mean = [], []
    with Image.open(tmp_path / name) as image:
        assert image.size == (65, 49)
        assert image.n_frames == 12
        assert image.info["loop"] == 0
        for number in range(image.n_frames):
            image.seek(number)
            image.load()
            lengths.append(image.info["duration"])
            mean.append(np.asarray(image.convert("RGB"), float).mean((0, 1)))
    ends = np.cumsum(lengths)[:-1]
    assert np.abs(ends - np.array(_PTS[1:]) / 12.8).max() <= tick_ms
    assert source.info.end_pts is not None
    last_s = source.info.end_pts * source.info.time_base - Fraction(_PTS[-1], 12800)
    assert lengths[-1] == pytest.approx(1000 * float(last_s), abs=tick_ms)
    assert np.abs(np.array(mean) - pictures(clip).astype(float).mean((1, 2))).max() <= 1.5


def test_a_film_becomes_numbered_pictures(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(width=65, height=49, pix_fmt="yuv444p"))
    copy(clip, tmp_path / "%03d.png")
    names = sorted(path.name for path in tmp_path.glob("*.png"))
    assert names == [f"{number:03d}.png" for number in range(1, 13)]
    written = np.stack([np.asarray(Image.open(tmp_path / name)) for name in names])
    assert np.abs(written.astype(float) - pictures(clip)).mean() <= 1
