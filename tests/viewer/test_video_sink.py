"""A video sink writes the source's timestamps, sound and colours, and goes on after any interruption."""

import resource
import subprocess
import sys
import threading
from contextlib import closing
from fractions import Fraction
from itertools import islice
from pathlib import Path

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
import pytest

from pipeline.errors import SinkError, Stopped, UsageError
from pipeline.process import shutdown
from producer.video import VideoSource
from tests.media import Clip, make_clip, packets_of, psnr, pts_of
from tests.viewer.copying import OPTIONS, copy, write
from tests.waiting import WaitUntil
from viewer import video_sink
from viewer.segment_writer import SegmentWriter
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


def test_a_disk_that_stands_still_holds_nobody_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    frames = list(VideoSource(clip).frames())
    stands_still = threading.Event()
    monkeypatch.setattr(SegmentWriter, "write", lambda *_: stands_still.wait())
    for name, limit in (("finish", "_FINISH_S"), ("close", "_CLOSE_S")):
        monkeypatch.setattr(video_sink, limit, 0.1)
        sink = open_sink(clip, tmp_path / f"{name}.mp4", VideoSource(clip).info, OPTIONS)
        write(sink, frames[:4])
        if name == "finish":
            with pytest.raises(SinkError, match=r"finish\.mp4: cannot be written \(nothing was written for 0 s\)"):
                sink.finish()
            assert sink.keep_partial() is None
        sink.close()
        assert not (tmp_path / f"{name}.mp4").exists()
    stands_still.set()


def test_a_frame_that_waits_for_a_disk_that_stands_still_waits_no_longer_than_its_process_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    frames = list(VideoSource(clip).frames())
    stands_still = threading.Event()
    monkeypatch.setattr(SegmentWriter, "write", lambda *_: stands_still.wait())
    monkeypatch.setattr(video_sink, "_CLOSE_S", 0.1)
    try:
        with closing(open_sink(clip, tmp_path / "stays.mp4", VideoSource(clip).info, OPTIONS)) as sink:
            monkeypatch.setattr(video_sink, "_FINISH_S", 0.1)
            with pytest.raises(SinkError, match=r"stays\.mp4: cannot be written \(nothing was written"):
                write(sink, frames)
        with closing(open_sink(clip, tmp_path / "leaves.mp4", VideoSource(clip).info, OPTIONS)) as sink:
            monkeypatch.setattr(video_sink, "_FINISH_S", 600.0)
            monkeypatch.setattr(shutdown, "_begun", True)
            with pytest.raises(Stopped):
                write(sink, frames)
    finally:
        stands_still.set()


def test_a_stopped_job_waits_for_no_disk_that_stands_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a job is cancelled on the page: the process stays."""
    clip = make_clip(tmp_path / "clip.mp4")
    stands_still = threading.Event()
    monkeypatch.setattr(SegmentWriter, "write", lambda *_: stands_still.wait())
    monkeypatch.setattr(video_sink, "_FINISH_S", 10.0)
    monkeypatch.setattr(video_sink, "_CLOSE_S", 0.1)
    try:
        with closing(open_sink(clip, tmp_path / "out.mp4", VideoSource(clip).info, OPTIONS)) as sink:
            stopping = threading.Timer(0.1, sink.stop)
            stopping.start()
            with pytest.raises(Stopped):
                write(sink, VideoSource(clip).frames())
            stopping.join()
    finally:
        stands_still.set()


def test_an_encoder_that_stands_still_keeps_its_folder_until_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    """Two of them in one folder would write into the same file."""
    clip, output = make_clip(tmp_path / "clip.mp4"), tmp_path / "out.mp4"
    source = VideoSource(clip)
    stands_still = threading.Event()
    real_write = SegmentWriter.write
    monkeypatch.setattr(SegmentWriter, "write", lambda *frame: stands_still.wait() and real_write(*frame))
    monkeypatch.setattr(video_sink, "_CLOSE_S", 0.1)
    sink = open_sink(clip, output, source.info, OPTIONS)
    write(sink, islice(source.frames(), 5))
    sink.close()
    with pytest.raises(UsageError, match="another job is writing it right now"):
        open_sink(clip, output, source.info, OPTIONS)
    stands_still.set()
    wait_until(lambda: not (tmp_path / "out.mp4.parts").exists(), what="an empty folder goes")
    copy(clip, output)
    assert pts_of(output) == pts_of(clip)


def test_a_removed_folder_ends_the_job_in_one_line(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=40))
    source = VideoSource(clip)
    folder = tmp_path / "out"
    folder.mkdir()
    sink = open_sink(clip, folder / "out.mp4", source.info, OPTIONS)
    frames = list(source.frames())
    write(sink, frames[:1])
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    with pytest.raises(SinkError, match=r"out\.mp4: cannot be written") as caught:
        write(sink, frames[1:])
        sink.finish()
    assert "\n" not in str(caught.value)
    sink.close()


_FULL_DISK = """
import resource, sys
from pathlib import Path
from tests.viewer.test_video_sink import *
from tests.viewer.copying import write
clip, output = map(Path, sys.argv[1:])
source = VideoSource(clip)
sink = open_sink(clip, output, source.info, OPTIONS)
frames = list(source.frames())
write(sink, frames[:30])
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))
try:
    sink.finish()
except SinkError as error:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    sink.close()
    sys.exit(str(error))
"""


def test_a_full_disk_is_said_and_leaves_nothing_under_the_final_name(tmp_path: Path) -> None:
    """A limit on file size stands for the full disk: to the writer both are a write that fails."""
    assert resource.RLIMIT_FSIZE is not None
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=30, options={"crf": "4"}, audio=("pcm_s16le",)))
    output = tmp_path / "out.mp4"
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", _FULL_DISK, str(clip), str(output)]
    done = subprocess.run(command, cwd=root, timeout=50, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr.splitlines()[-1]
    assert not output.exists()
    assert pts_of(copy(clip, output)) == pts_of(clip)
