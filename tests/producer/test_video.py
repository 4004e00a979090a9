"""A video source gives each frame once, upright, with its own time and colours, and says where a file broke."""

import gc
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import SourceError, UsageError
from producer.video import VideoSource
from tests.media import STEP, Clip, make_clip, picture, psnr, pts_of

VFR = [0, 512, 1300, 1310, 5000, 5512, 9001, 9002, 20000, 20700, 21000, 30000]


def test_each_frame_has_its_own_timestamp_when_the_rate_varies(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "vfr.mp4", Clip(pts=VFR))
    source = VideoSource(clip)
    assert [frame.pts * source.info.time_base for frame in source.frames()] == [Fraction(p, 12800) for p in VFR]


@pytest.mark.parametrize("start", [0, 1, 5, 6, 7, 11])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_resuming_at_any_frame_gives_the_same_pictures_as_reading_through(
    tmp_path: Path, start: int, suffix: str
) -> None:
    codec = {"avi": "mpeg4"}.get(suffix, "libx264")
    options = {} if codec == "mpeg4" else {"crf": "10", "bf": "2", "g": "6"}
    clip = make_clip(tmp_path / f"clip.{suffix}", Clip(codec=codec, options=options, time_base=Fraction(1, 25)))
    source = VideoSource(clip)
    whole = list(source.frames())
    resumed = list(source.frames(start))
    assert [frame.seq for frame in whole] == list(range(12))
    assert [(frame.seq, frame.pts) for frame in resumed] == [(frame.seq, frame.pts) for frame in whole[start:]]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(resumed, whole[start:], strict=True))


def test_a_cut_begins_and_ends_at_the_seconds_asked_for_and_can_be_resumed(tmp_path: Path) -> None:
    source = VideoSource(make_clip(tmp_path / "clip.mp4"), start_s=0.12, end_s=0.32)
    frames = list(source.frames())
    assert [(frame.seq, frame.pts) for frame in frames] == [(n, (n + 3) * STEP) for n in range(5)]
    assert source.info.frames == 5
    assert [frame.pts for frame in source.frames(2)] == [frame.pts for frame in frames[2:]]


def test_a_cut_outside_the_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing lies between"):
        VideoSource(make_clip(tmp_path / "clip.mp4"), start_s=10)


@pytest.mark.parametrize(("rotation", "turns"), [(90, 1), (180, 2), (270, 3), (-90, 3)])
def test_a_rotated_video_comes_out_upright(tmp_path: Path, rotation: int, turns: int) -> None:
    plain = next(VideoSource(make_clip(tmp_path / "plain.mp4")).frames())
    source = VideoSource(make_clip(tmp_path / "turned.mp4", Clip(rotation=rotation)))
    frame = next(source.frames())
    assert frame.pixels.shape == (source.info.height, source.info.width, 3)
    # FFmpeg's angle is counterclockwise, as numpy's is.
    assert np.array_equal(frame.pixels, np.rot90(plain.pixels, turns))
    assert frame.pixels.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize(
    "clip",
    [
        pytest.param(Clip(tags={"colorspace": 1, "color_primaries": 1, "color_trc": 1, "color_range": 1}), id="bt709"),
        pytest.param(Clip(tags={"colorspace": 1, "color_range": 2}), id="bt709-full"),
        pytest.param(Clip(tags={"colorspace": 5}), id="bt601"),
        pytest.param(Clip(tags={"colorspace": 9, "color_primaries": 9}), id="bt2020"),
        pytest.param(Clip(pix_fmt="yuv420p10le"), id="10-bit"),
        pytest.param(Clip(pix_fmt="yuv444p", width=129, height=97), id="odd-size"),
        pytest.param(Clip(), id="untagged"),
    ],
)
def test_colours_are_those_that_were_filmed(tmp_path: Path, clip: Clip) -> None:
    source = VideoSource(make_clip(tmp_path / "clip.mp4", clip))
    frames = list(source.frames())
    assert frames[3].pixels.shape == (clip.height, clip.width, 3)
    # The block's edges lose colour to 4:2:0; a wrong matrix or range costs far more, on the flat gradient too.
    shown = frames[3].pixels[clip.height // 3 :]
    assert psnr(shown, picture(3, clip.width, clip.height)[clip.height // 3 :]) > 38
    assert source.info.colour.colorspace == clip.tags.get("colorspace")
    # H.264 cannot name a matrix without naming a range.
    assert source.info.colour.range == clip.tags.get("color_range", 1 if clip.tags else None)


def test_frames_are_the_callers_own(tmp_path: Path) -> None:
    frames = list(VideoSource(make_clip(tmp_path / "clip.mp4")).frames())
    before = frames[1].pixels.copy()
    frames[0].pixels[:] = 0
    assert np.array_equal(frames[1].pixels, before)


def _truncate(path: Path, keep: float) -> Path:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_truncated_video_gives_what_it_holds_and_then_says_where_it_broke(tmp_path: Path, suffix: str) -> None:
    options = {"crf": "4", "g": "10", "bf": "2"}
    whole = make_clip(tmp_path / f"clip.{suffix}", Clip(frames=100, options=options))
    if suffix == "mp4":
        whole = _faststart(whole)
    every = list(VideoSource(whole).frames())
    source = VideoSource(_truncate(whole, 0.6))
    frames = []
    with pytest.raises(SourceError, match=r"clip.* broke at \d+\.\d s") as caught:
        for frame in source.frames():
            frames.append(frame)  # noqa: PERF402  the frames before the break count
    assert 30 < len(frames) < 80
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(frames[:-3], every, strict=False))
    second = float(str(caught.value).split("broke at ")[1].split(" s")[0])
    assert second == pytest.approx(len(frames) / 25, abs=0.2)


def test_a_damaged_middle_is_passed_over_and_named(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", Clip(frames=50, options={"crf": "4", "g": "10", "bf": "0"}))
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2 // 188 * 188
    del data[middle : middle + 188 * 8]
    clip.write_bytes(data)
    frames = []
    with pytest.raises(SourceError, match="damaged at 0"):
        for frame in VideoSource(clip).frames():
            frames.append(frame)  # noqa: PERF402  the frames before the break count
    assert 40 < len(frames) < 50
    assert frames[-1].pts * Fraction(1, 90000) - frames[0].pts * Fraction(1, 90000) == Fraction(49, 25)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.mp4", b"these are notes, not a video" * 50, "not a playable video"),
        ("empty.mp4", b"", "not a playable video"),
    ],
)
def test_what_is_not_a_video_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        VideoSource(path)
    assert "\n" not in str(caught.value)


def test_a_video_without_its_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a playable video"):
        VideoSource(_truncate(make_clip(tmp_path / "clip.mp4"), 0.5))


def test_a_video_without_frames_is_refused(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mkv", Clip(frames=0, audio=("aac",)))
    with pytest.raises(UsageError, match=r"(without a single frame|not a playable video|cannot be decoded|no video)"):
        VideoSource(path)


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    import av

    path = tmp_path / "sound.m4a"
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(UsageError, match="no video track"):
        VideoSource(path)


def test_a_frame_above_the_limit_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="128×96 is more than the 3000 pixels allowed"):
        VideoSource(make_clip(tmp_path / "clip.mp4"), max_pixels=3000)


def test_no_picture_outlives_its_frame(tmp_path: Path) -> None:
    source = VideoSource(make_clip(tmp_path / "film.mp4", Clip(frames=60)))
    gc.collect()
    gc.disable()
    try:
        assert sum(1 for _ in source.frames()) == 60
        # What only the garbage collector can free; pictures among it would be megabytes each.
        assert gc.collect() < 60
    finally:
        gc.enable()


def test_closing_ends_a_running_iteration(tmp_path: Path) -> None:
    source = VideoSource(make_clip(tmp_path / "clip.mp4"))
    frames = source.frames()
    next(frames)
    source.close()
    assert list(frames) == []


def test_a_stream_without_timestamps_counts_by_its_rate(tmp_path: Path) -> None:
    raw = make_clip(tmp_path / "clip.h264", Clip(options={"crf": "10", "bf": "0"}))
    source = VideoSource(raw)
    times = [frame.pts * source.info.time_base for frame in source.frames()]
    assert len(times) == 12
    assert {later - earlier for earlier, later in pairwise(times)} == {Fraction(1, 25)}


def _faststart(path: Path) -> Path:
    """Move the index to the front, so that a truncated file can still be opened."""
    import av

    moved = path.with_name(f"front-{path.name}")
    with (
        av.open(str(path)) as source,
        av.open(str(moved), "w", container_options={"movflags": "+faststart"}) as out,
    ):
        video = source.streams.video[0]
        copy = out.add_stream_from_template(video, opaque=True)
        for packet in source.demux(video):
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    assert pts_of(moved) == pts_of(path)
    return moved.replace(path)
