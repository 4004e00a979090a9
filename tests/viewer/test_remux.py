"""The source's sound, subtitles and titles come through the join, in step with the pictures."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
import numpy as np
import pytest

from producer.video import VideoSource
from tests.media import Clip, make_clip, packets_of, pts_of
from tests.viewer.copying import OPTIONS, copy, write
from viewer.segments import SinkOptions
from viewer.sink import open_sink


def test_every_sound_track_is_copied_packet_for_packet_with_its_language(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(audio=("aac", "aac"), languages=("eng", "deu")))
    output = copy(clip, tmp_path / "out.mp4")
    with av.open(str(output)) as container:
        assert [stream.language for stream in container.streams.audio] == ["eng", "deu"]
    for index in (1, 2):
        assert packets_of(output, index) == packets_of(clip, index)


def test_sound_the_container_refuses_is_encoded_again_in_step_with_the_pictures(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.nut", Clip(frames=25, audio=("pcm_mulaw",), audio_start_s=0.2))
    output = copy(clip, tmp_path / "out.mp4")
    with av.open(str(output)) as container:
        sound = container.streams.audio[0]
        assert sound.codec_context.name == "aac"
        frames = list(container.decode(sound))
    heard = [frame for frame in frames if np.abs(frame.to_ndarray()).max() > 0.1]
    began = pts_of(clip)[0]  # NUT moves all tracks together until decoding starts at 0
    assert float(heard[0].pts * heard[0].time_base - began) == pytest.approx(0.2, abs=0.03)
    assert float(heard[-1].pts * heard[-1].time_base - began) == pytest.approx(1.2, abs=0.05)


@pytest.mark.parametrize(
    ("container", "codec", "output", "expected"),
    [("mkv", "subrip", "mp4", "mov_text"), ("mkv", "ass", "mp4", "mov_text"), ("mp4", "mov_text", "mkv", "srt"),
     ("mp4", "mov_text", "mp4", "mov_text"), ("mkv", "subrip", "mkv", "srt")],
)  # fmt: skip
def test_subtitles_come_along(tmp_path: Path, container: str, codec: str, output: str, expected: str) -> None:
    clip = make_clip(tmp_path / f"clip.{container}", Clip(subtitles=codec))
    written = copy(clip, tmp_path / f"out.{output}")
    with av.open(str(written)) as opened:
        track = opened.streams.subtitles[0]
        assert (track.codec_context.name, track.language) == (expected, "eng")
    texts = [(at, text) for at, text in packets_of(written, 1) if b"line" in text]
    assert [float(at) for at, _ in texts] == pytest.approx([0.08, 0.24], abs=0.002)
    assert [b"first" in texts[0][1], b"second" in texts[1][1]] == [True, True]


def test_a_broadcast_recording_starts_at_zero_and_stays_in_step(tmp_path: Path) -> None:
    late = [1000 + number for number in range(12)]
    clip = make_clip(
        tmp_path / "clip.ts", Clip(pts=late, time_base=Fraction(1, 25), audio=("aac",), audio_start_s=40.1)
    )
    output = copy(clip, tmp_path / "out.mp4")
    offset = pts_of(clip)[0] - pts_of(output)[0]
    assert offset > 39
    assert [at - offset for at in pts_of(clip)] == pts_of(output)
    heard, written = packets_of(clip, 1)[0][0], packets_of(output, 1)[0][0]
    assert float(heard - offset) == pytest.approx(float(written), abs=0.001)


def test_a_cut_starts_at_zero_with_the_sound_of_its_seconds(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=50, audio=("aac",)))
    options = SinkOptions(painting="test", segment_frames=5, start_s=0.4, end_s=1.2)
    output = copy(clip, tmp_path / "out.mp4", options)
    assert pts_of(output) == [Fraction(n, 25) for n in range(20)]
    sound, whole = packets_of(output, 1), packets_of(clip, 1)
    assert [data for _, data in sound] == [data for at, data in whole if 0.4 <= at < 1.2]
    assert 0 <= sound[0][0] < 0.03


def test_title_and_chapters_come_along(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", Clip(metadata={"title": "The harbour"}, chapters=("Dawn", "Noon")))
    output = copy(clip, tmp_path / "out.mp4")
    with av.open(str(output)) as container:
        assert container.metadata["title"] == "The harbour"
        chapters = [
            (chapter["metadata"]["title"], chapter["start"] * chapter["time_base"]) for chapter in container.chapters()
        ]
    assert chapters == [("Dawn", 0), ("Noon", Fraction(1, 5))]


def test_pictures_an_edit_list_hides_stay_hidden_and_sound_keeps_its_place(tmp_path: Path) -> None:
    early = [number * 512 - 2560 for number in range(12)]
    clip = make_clip(tmp_path / "clip.mp4", Clip(pts=early, options={"bf": "0"}, audio=("aac",)))
    output = copy(clip, tmp_path / "out.mp4")
    assert pts_of(output) == pts_of(clip) == [Fraction(number, 25) for number in range(7)]
    assert packets_of(output, 1) == packets_of(clip, 1)


def test_pictures_before_zero_are_moved_to_it(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    source = VideoSource(clip)
    sink = open_sink(clip, tmp_path / "out.mp4", source.info, OPTIONS)
    write(sink, [replace(frame, pts=frame.pts - 2560) for frame in source.frames()])
    sink.finish()
    sink.close()
    assert pts_of(tmp_path / "out.mp4") == pts_of(clip)
