"""A video sink writes the source's timestamps, sound and colours, and goes on after any interruption."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
import pytest

from pipeline.errors import UsageError
from producer.video import VideoSource
from tests.media import Clip, make_clip, packets_of, psnr, pts_of
from tests.viewer.copying import OPTIONS, copy, write
from viewer.segments import SinkOptions
from viewer.sink import open_sink


def _pictures(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


def _last_end(path: Path) -> Fraction:
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        return (video.start_time + video.duration) * video.time_base


VFR = [0, 512, 1300, 1310, 5000, 5512, 9001, 9002, 20000, 20700, 21000, 30000]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("pts", [None, VFR, [p + 7000 for p in VFR]], ids=["constant", "variable", "late-start"])
def test_timestamps_survive(tmp_path: Path, pts: list[int] | None, suffix: str) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(pts=pts))
    written = pts_of(copy(clip, tmp_path / f"out.{suffix}"))
    expected = pts_of(clip)
    # Matroska counts in milliseconds, MP4 as finely as the source.
    tolerance = Fraction(1, 2000) if suffix == "mkv" else 0
    assert len(written) == len(expected)
    assert all(abs(one - other) <= tolerance for one, other in zip(written, expected, strict=True))


def test_the_last_picture_is_shown_as_long_as_in_the_source(tmp_path: Path) -> None:
    # Without reordered frames: with them, PyAV itself writes too short a length.
    clip = make_clip(tmp_path / "clip.mp4", Clip(pts=VFR, options={"bf": "0"}))
    assert _last_end(clip) > Fraction(VFR[-1], 12800)
    assert _last_end(copy(clip, tmp_path / "out.mp4")) == _last_end(clip)


@pytest.mark.parametrize(
    "clip",
    [
        pytest.param(Clip(tags={"colorspace": 1, "color_primaries": 1, "color_trc": 1, "color_range": 1}), id="bt709"),
        pytest.param(Clip(tags={"colorspace": 1, "color_range": 2}), id="full"),
        pytest.param(Clip(tags={"colorspace": 9, "color_primaries": 9, "color_trc": 14}), id="bt2020"),
        pytest.param(Clip(), id="untagged"),
        pytest.param(Clip(width=1152, height=648, frames=2), id="untagged-hd"),
        pytest.param(Clip(pix_fmt="yuv420p10le"), id="10-bit"),
        pytest.param(Clip(rotation=90), id="rotated"),
    ],
)
def test_colours_tags_and_size_survive(tmp_path: Path, clip: Clip) -> None:
    path = make_clip(tmp_path / "clip.mp4", clip)
    before, after = VideoSource(path), VideoSource(copy(path, tmp_path / "out.mp4"))
    assert after.info.colour == before.info.colour
    assert (after.info.width, after.info.height) == (before.info.width, before.info.height)
    pairs = list(zip(before.frames(), after.frames(), strict=True))
    assert min(psnr(one.pixels, other.pixels) for one, other in pairs) > 36


def test_the_output_is_h264_in_420_with_its_index_in_front(tmp_path: Path) -> None:
    output = copy(make_clip(tmp_path / "clip.mp4"), tmp_path / "out.mp4")
    with av.open(str(output)) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
    data = output.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(("rotation", "expected"), [(0, Fraction(4, 3)), (90, Fraction(3, 4))])
def test_the_shape_of_a_pixel_survives(tmp_path: Path, rotation: int, expected: Fraction) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(aspect=Fraction(4, 3), rotation=rotation))
    with av.open(str(copy(clip, tmp_path / "out.mp4"))) as container:
        assert container.streams.video[0].sample_aspect_ratio == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (SinkOptions(crf=60), "h264's quality is --crf 0 .best. to 51"),
        (SinkOptions(preset="fastest"), "h264's --preset is one of ultrafast"),
    ],
)
def test_a_quality_there_is_not_is_refused_before_work_begins(
    tmp_path: Path, options: SinkOptions, message: str
) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    with pytest.raises(UsageError, match=message):
        open_sink(clip, tmp_path / "out.mp4", VideoSource(clip).info, options)


def test_an_interrupted_job_goes_on_and_gives_the_same_pictures(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=23, audio=("aac",)))
    undisturbed = copy(clip, tmp_path / "whole.mp4")
    source = VideoSource(clip)
    output = tmp_path / "out.mp4"
    for stop_at, expected in ((3, 0), (12, 0), (18, 10)):
        sink = open_sink(clip, output, source.info, OPTIONS)
        assert sink.next_seq() == expected
        write(sink, (frame for frame in source.frames(expected) if frame.seq < stop_at))
        sink.close()
        assert not output.exists()
    copy(clip, output)
    assert _pictures(output) == _pictures(undisturbed)
    assert packets_of(output, 0) == packets_of(undisturbed, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "out.mp4", "whole.mp4"]


def test_a_killed_job_goes_on_after_its_last_closed_segment(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=23))
    output = tmp_path / "out.mp4"
    killed = (
        "import os, sys; from pathlib import Path; from tests.viewer.test_video_sink import *\n"
        "from tests.viewer.copying import write\n"
        "clip, output = map(Path, sys.argv[1:]); source = VideoSource(clip)\n"
        "sink = open_sink(clip, output, source.info, OPTIONS)\n"
        "write(sink, (f for f in source.frames() if f.seq < 13))\n"
        "sink._stop_thread(60); os.kill(os.getpid(), 9)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", killed, str(clip), str(output)], cwd=root, timeout=50, check=False)
    assert done.returncode == -9
    sink = open_sink(clip, output, VideoSource(clip).info, OPTIONS)
    assert sink.next_seq() == 10
    sink.close()
    assert pts_of(copy(clip, output)) == pts_of(clip)


@pytest.mark.parametrize("change", ["painting", "quality", "source"])
def test_a_changed_job_starts_afresh(tmp_path: Path, change: str) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    output, source = tmp_path / "out.mp4", VideoSource(clip)
    sink = open_sink(clip, output, source.info, OPTIONS)
    write(sink, source.frames())
    sink.close()
    options = OPTIONS
    if change == "painting":
        options = SinkOptions(painting="another", segment_frames=5)
    elif change == "quality":
        options = SinkOptions(painting="test", segment_frames=5, crf=30)
    else:
        make_clip(clip, Clip(frames=13))
    again = open_sink(clip, output, source.info, options)
    assert again.next_seq() == 0
    again.close()


def test_a_damaged_segment_is_painted_again(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    output, source = tmp_path / "out.mp4", VideoSource(clip)
    sink = open_sink(clip, output, source.info, OPTIONS)
    write(sink, source.frames())
    sink.close()
    second = sorted((tmp_path / "out.mp4.parts").glob("*.mp4"))[1]
    second.write_bytes(second.read_bytes()[:-10])
    again = open_sink(clip, output, source.info, OPTIONS)
    assert again.next_seq() == 5
    again.close()


def test_a_failed_job_leaves_a_playable_partial_and_can_still_go_on(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=23, audio=("aac",)))
    output, source = tmp_path / "out.mp4", VideoSource(clip)
    sink = open_sink(clip, output, source.info, OPTIONS)
    write(sink, (frame for frame in source.frames() if frame.seq < 13))
    partial = sink.keep_partial()
    sink.close()
    assert partial == tmp_path / "out.partial.mp4"
    assert pts_of(partial) == pts_of(clip)[:13]
    assert packets_of(partial, 1)[-1][0] < Fraction(13, 25)
    assert not output.exists()
    again = open_sink(clip, output, source.info, OPTIONS)
    assert again.next_seq() == 10
    again.close()


def test_nothing_painted_leaves_nothing(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    sink = open_sink(clip, tmp_path / "out.mp4", VideoSource(clip).info, OPTIONS)
    assert sink.keep_partial() is None
    sink.close()
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_two_jobs_never_write_one_output(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    info = VideoSource(clip).info
    sink = open_sink(clip, tmp_path / "out.mp4", info, OPTIONS)
    with pytest.raises(UsageError, match="another job is writing it"):
        open_sink(clip, tmp_path / "out.mp4", info, OPTIONS)
    sink.close()
    open_sink(clip, tmp_path / "out.mp4", info, OPTIONS).close()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("missing/out.mp4", "no such folder"),
        ("out.avi", "a video is written as"),
        ("clip.mp4", "replace its own source"),
    ],
)
def test_an_impossible_output_is_refused_before_work_begins(tmp_path: Path, output: str, message: str) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    with pytest.raises(UsageError, match=message):
        open_sink(clip, tmp_path / output, VideoSource(clip).info, OPTIONS)
