"""A disk that stands still, is full or gone: the job ends in one line, and nobody waits for ever."""

import resource
import subprocess
import sys
import threading
from contextlib import closing
from itertools import islice
from pathlib import Path

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import pytest

from pipeline.errors import SinkError, Stopped, UsageError
from pipeline.process import shutdown
from producer.video import VideoSource
from tests.media import Clip, make_clip, pts_of
from tests.viewer.copying import OPTIONS, copy, write
from tests.waiting import WaitUntil
from viewer import video_sink
from viewer.segment_writer import SegmentWriter
from viewer.sink import open_sink


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
import cv2
from pipeline.errors import SinkError
from producer.video import VideoSource
from tests.viewer.copying import OPTIONS, write
from viewer.sink import open_sink
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
