"""What a pipe carries, as the program behind it reads it: pictures in their colours and times, sound in step."""

import os
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import SinkError, UsageError
from producer.video import VideoSource
from tests.independent import ffmpeg, pictures, probe, shown
from tests.media import Clip, make_clip
from tests.sound import CHIRP, moved
from viewer.pipe_sink import PipeSink
from viewer.segments import SinkOptions
from viewer.sink import Sink


def _piped(source: Path, target: Path, name: str, options: SinkOptions | None = None) -> list[str]:
    """Copy a film through a pipe into `target`, and return what is said."""
    options = options or SinkOptions()
    video = VideoSource(source, start_s=options.start_s, end_s=options.end_s)
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as reader:
        drain = threading.Thread(target=lambda: target.write_bytes(reader.read()))
        drain.start()
        sink: Sink = PipeSink(source, Path(name), video.info, options, os.fdopen(write_end, "wb"))
        for frame in video.frames():
            sink.write(frame)
        sink.finish()
        sink.close()
        drain.join(20)
    return sink.take_notices()


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A second of uneven times with a rising tone."""
    path = tmp_path / "film.mkv"
    ffmpeg(
        *("-f", "lavfi", "-i", "smptebars=s=128x96:r=25:d=1", "-f", "lavfi", "-i", f"{CHIRP}:d=1"),
        *("-vf", "setpts='N/25/TB+0.01/TB*gte(N\\,5)'", "-fps_mode", "passthrough", "-enc_time_base", "1/1000"),
        *("-c:v", "libx264", "-crf", "6", "-pix_fmt", "yuv420p", "-c:a", "aac", path),
    )
    return path


def test_nut_carries_times_colours_and_sound(tmp_path: Path, film: Path) -> None:
    notices = _piped(film, tmp_path / "out.nut", "-")
    assert notices == ["written to a pipe: interrupted, it begins anew"]
    before, after = ([picture.at_s for picture in shown(path)] for path in (film, tmp_path / "out.nut"))
    assert len(before) == len(after)
    assert all(abs(one - other) <= Fraction(1, 1000) for one, other in zip(before, after, strict=True))
    assert abs(moved(film, tmp_path / "out.nut").ms) <= 1
    one, other = pictures(film).astype(float), pictures(tmp_path / "out.nut").astype(float)
    assert np.abs((one - other).mean(axis=(0, 1, 2))).max() <= 1


def test_sound_that_an_edit_list_hides_does_not_make_the_pictures_late(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(audio=("aac",)))
    assert float(probe(clip, "-select_streams", "a:0", "-show_packets")["packets"][0]["pts_time"]) < 0
    _piped(clip, tmp_path / "out.nut", "-")
    assert shown(tmp_path / "out.nut")[0].at_s == 0


def test_y4m_carries_pictures_and_says_that_it_has_no_sound(tmp_path: Path, film: Path) -> None:
    notices = _piped(film, tmp_path / "out.y4m", "-.y4m")
    assert notices[0] == "sound left out: yuv4mpegpipe holds pictures alone"
    assert len(shown(tmp_path / "out.y4m")) == 25
    one, other = pictures(film).astype(float), pictures(tmp_path / "out.y4m").astype(float)
    assert np.abs((one - other).mean(axis=(0, 1, 2))).max() <= 1


def test_a_cut_has_the_sound_of_its_seconds(tmp_path: Path, film: Path) -> None:
    _piped(film, tmp_path / "out.nut", "-", SinkOptions(start_s=0.2, end_s=0.6))
    assert shown(tmp_path / "out.nut")[0].at_s == 0
    packets = probe(tmp_path / "out.nut", "-select_streams", "a:0", "-show_packets")["packets"]
    assert 0.36 < float(packets[-1]["pts_time"]) - float(packets[0]["pts_time"]) < 0.42


def test_a_reader_that_goes_is_said_in_one_line(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(width=640, height=480))
    video = VideoSource(clip)
    read_end, write_end = os.pipe()
    os.close(read_end)
    sink = PipeSink(clip, Path("-"), video.info, SinkOptions(), os.fdopen(write_end, "wb"))
    with pytest.raises(SinkError, match=r"-: cannot be written \([Bb]roken pipe\)"):
        for frame in video.frames():
            sink.write(frame)
    assert sink.keep_partial() is None
    sink.close()


def test_an_encoder_is_refused(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=2))
    with pytest.raises(UsageError, match="-o - writes raw pictures"):
        PipeSink(clip, Path("-"), VideoSource(clip).info, SinkOptions(encoder="hevc"))
