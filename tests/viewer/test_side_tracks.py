"""Sound, subtitles and what else a file carries reach the output in time, or cost no more than themselves."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
import pytest

from producer.video import VideoSource
from tests.independent import ffmpeg, probe, shown
from tests.sound import CHIRP, moved
from tests.viewer.copying import OPTIONS, copy, write
from viewer import video_sink
from viewer.segments import SinkOptions
from viewer.sink import open_sink

_PICTURES = "testsrc2=s=160x120:r=25:d=1"
_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-pix_fmt", "yuv420p")


def _film(path: Path, *words: str, late_s: float = 0.0) -> Path:
    """Write a second of pictures with a rising tone; `words`: what ffmpeg is to do with them."""
    sound = ("-itsoffset", str(late_s)) if late_s else ()
    ffmpeg("-f", "lavfi", "-i", _PICTURES, *sound, "-f", "lavfi", "-i", f"{CHIRP}:d=1", *words, f"file:{path}")
    return path


def _stamped(path: Path, change: Callable[[int, "av.Packet[Any]"], None]) -> Path:
    """Write an MKV whose sound packets `change` has stamped, as broken recorders do."""
    film = _film(path.with_name("plain.mkv"), *_H264, "-c:a", "aac")
    with av.open(str(film)) as source, av.open(str(path), "w") as out:
        tracks = [out.add_stream_from_template(stream, opaque=True) for stream in source.streams]
        number = 0
        for packet in source.demux():
            if packet.size and packet.stream.type == "audio":
                number += 1
                change(number, packet)
            if packet.size:
                packet.stream = tracks[packet.stream.index]
                out.mux(packet)
    return path


def _doubled(number: int, packet: "av.Packet[Any]") -> None:
    if number == 20:
        packet.pts = packet.dts = (packet.pts or 0) - 21


def _raw_dv(path: Path) -> Path:
    words = ("-f", "lavfi", "-i", "testsrc2=s=720x576:r=25:d=1", "-f", "lavfi", "-i", f"{CHIRP}:d=1")
    ffmpeg(*words, "-ac", "2", "-target", "pal-dv", f"file:{path}")
    return path


def _twice(path: Path, *words: str) -> Path:
    """Write one recording behind the other into one file: its clock starts anew in the middle."""
    one = _film(path.with_stem("one"), *words)
    path.write_bytes(one.read_bytes() * 2)
    return path


SOURCES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "aac": ("mp4", lambda path: _film(path, *_H264, "-c:a", "aac")),
    "pcm-stereo": ("mkv", lambda path: _film(path, *_H264, "-ac", "2", "-c:a", "pcm_s16le")),
    "pcm-24-bit": ("mov", lambda path: _film(path, *_H264, "-c:a", "pcm_s24le")),
    "truehd": ("mkv", lambda path: _film(path, *_H264, "-ac", "2", "-c:a", "truehd", "-strict", "-2")),
    "flac-5.1": ("mkv", lambda path: _film(path, *_H264, "-ac", "6", "-c:a", "flac")),
    "opus": ("mkv", lambda path: _film(path, *_H264, "-c:a", "libopus")),
    "opus-in-mp4": ("mp4", lambda path: _film(path, *_H264, "-c:a", "libopus")),
    "mp3-in-mp4": ("mp4", lambda path: _film(path, *_H264, "-c:a", "libmp3lame")),
    "latm": ("ts", lambda path: _film(path, *_H264, "-c:a", "aac", "-mpegts_flags", "latm")),
    "wma": ("wmv", lambda path: _film(path, "-c:v", "wmv2", "-c:a", "wmav2")),
    "wma-late": ("mkv", lambda path: _film(path, *_H264, "-c:a", "wmav2", late_s=0.6)),
    "adpcm": ("avi", lambda path: _film(path, "-c:v", "mpeg4", "-c:a", "adpcm_ms")),
    "mulaw-8-khz": ("mkv", lambda path: _film(path, *_H264, "-ar", "8000", "-c:a", "pcm_mulaw")),
    "doubled-stamp": ("mkv", lambda path: _stamped(path, _doubled)),
    "dv": ("dv", _raw_dv),
    "mpg-twice": ("mpg", lambda path: _twice(path, "-c:v", "mpeg2video", "-c:a", "mp2")),
}


# What MP4 takes QuickTime takes; Matroska takes all as it is, but hides nothing.
_TO_MATROSKA = ("aac", "truehd", "opus-in-mp4", "mp3-in-mp4", "latm", "wma-late", "doubled-stamp", "mpg-twice")


@pytest.mark.parametrize(
    ("name", "suffix"),
    [*((name, "mp4") for name in SOURCES), *((name, "mkv") for name in _TO_MATROSKA), ("pcm-24-bit", "mov")],
)
def test_sound_stays_with_the_pictures(tmp_path: Path, name: str, suffix: str) -> None:
    container, make = SOURCES[name]
    source = make(tmp_path / f"source.{container}")
    output = copy(source, tmp_path / f"out.{suffix}")
    answer = probe(output)
    assert [stream["codec_type"] for stream in answer["streams"]][:2] == ["video", "audio"]
    assert answer["streams"][0]["r_frame_rate"] == answer["streams"][0]["avg_frame_rate"] == "25/1"
    change = moved(source, output)
    assert abs(change.ms) <= 1
    assert change.alike > 0.95  # 8 kHz lose some in AAC
    assert (
        abs(float(answer["format"]["duration"]) - float(probe(source)["format"]["duration"])) < 0.09 or "twice" in name
    )


def test_pcm_is_encoded_for_mp4_alone(tmp_path: Path) -> None:
    source = _film(tmp_path / "source.mov", *_H264, "-c:a", "pcm_s24le")
    codecs = {}
    for suffix in ("mp4", "mov", "mkv"):
        output = copy(source, tmp_path / f"out.{suffix}")
        codecs[suffix] = probe(output)["streams"][1]["codec_name"]
    assert codecs == {"mp4": "aac", "mov": "pcm_s24le", "mkv": "pcm_s24le"}


def test_two_recordings_in_one_file_are_both_in_step(tmp_path: Path) -> None:
    """In the second, sound is moved by as much as its pictures."""
    source = _twice(tmp_path / "source.mpg", "-c:v", "mpeg2video", "-c:a", "mp2")
    output = copy(source, tmp_path / "out.mkv")
    pictures = [picture.at_s for picture in shown(output)]
    packets = probe(output, "-select_streams", "a:0", "-show_packets")["packets"]
    sound = [Fraction(packet["pts_time"]) for packet in packets]
    assert (len(pictures) % 2, len(sound) % 2) == (0, 0)
    second = pictures[len(pictures) // 2] - pictures[0]
    assert abs(sound[len(sound) // 2] - sound[0] - second) <= Fraction(1, 1000)


def test_what_an_edit_list_cuts_is_not_heard_in_matroska(tmp_path: Path) -> None:
    whole = _film(tmp_path / "whole.mp4", *_H264, "-c:a", "aac")
    cut = tmp_path / "cut.mp4"
    ffmpeg("-ss", "0.4", "-i", whole, "-c", "copy", cut)
    output = copy(cut, tmp_path / "out.mkv")
    assert shown(output)[0].at_s == 0
    change = moved(cut, output)
    assert abs(change.ms) <= 1
    packets = probe(output, "-select_streams", "a:0", "-show_packets")["packets"]
    assert min(float(packet["pts_time"]) for packet in packets) >= 0


@pytest.mark.parametrize(
    ("cue", "kept"),
    [(b"na\xefve \xe9t\xe9", "naïve été"), (b"x" * 70_000, "")],
    ids=["not-utf-8", "70-kb"],
)
def test_one_bad_subtitle_costs_itself_alone(tmp_path: Path, cue: bytes, kept: str) -> None:
    film = _film(tmp_path / "film.mkv", *_H264, "-c:a", "aac")
    source = tmp_path / "source.mkv"
    _add_cues(film, source, [(200, b"first"), (400, cue), (700, b"last")])
    output = tmp_path / "out.mp4"
    notices = _copied(source, output)
    packets = [len(probe(path, "-select_streams", "a:0", "-show_packets")["packets"]) for path in (film, output)]
    assert packets[0] == packets[1]
    text = ffmpeg("-i", output, "-map", "0:s", "-f", "srt", "-").decode()
    assert ("first" in text, "last" in text, kept in text) == (True, True, True)
    assert ("left out" in "".join(notices)) == (kept == "")


def test_a_picture_subtitle_without_length_reaches_mp4(tmp_path: Path) -> None:
    film = _film(tmp_path / "film.mkv", *_H264, "-c:a", "aac")
    source = tmp_path / "source.mkv"
    _add_cues(film, source, [(200, _SPU), (600, _SPU)], codec="dvdsub")
    output = copy(source, tmp_path / "out.mp4")
    cues = probe(output, "-select_streams", "s:0", "-show_packets")["packets"]
    assert [float(cue["pts_time"]) for cue in cues] == [0.2, 0.6]


def test_a_film_is_kept_though_its_tracks_fail_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _film(tmp_path / "source.mkv", *_H264, "-c:a", "aac")
    real = video_sink.join

    def refusing(job: Any, origin: Any) -> list[str]:
        if job.plan.ways:
            raise av.error.ArgumentError(22, "Invalid argument")
        return real(job, origin)

    monkeypatch.setattr(video_sink, "join", refusing)
    notices = _copied(source, tmp_path / "out.mp4")
    assert [stream["codec_type"] for stream in probe(tmp_path / "out.mp4")["streams"]] == ["video"]
    assert len(shown(tmp_path / "out.mp4")) == 25
    assert notices[-1] == "sound and subtitles left out (Invalid argument)"


def test_phones_keys_and_place_come_along(tmp_path: Path) -> None:
    keys = {
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.location.ISO6709": "+48.1372+011.5755+519.000/",
        "com.apple.quicktime.creationdate": "2023-05-06T09:08:09+0200",
    }
    words = [word for key, value in keys.items() for word in ("-metadata", f"{key}={value}")]
    source = _film(tmp_path / "source.mov", *_H264, "-c:a", "aac", *words, "-movflags", "use_metadata_tags")
    for suffix in ("mp4", "mov", "mkv"):
        tags = {
            key.lower(): value for key, value in probe(copy(source, tmp_path / f"o.{suffix}"))["format"]["tags"].items()
        }
        assert {key.lower(): value for key, value in keys.items()}.items() <= tags.items()


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_chapters_move_with_a_cut(tmp_path: Path, suffix: str) -> None:
    chapters = tmp_path / "chapters.txt"
    spans = {"one": (0, 300), "two": (300, 600), "three": (600, 1000)}
    lines = [f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={a}\nEND={b}\ntitle={name}" for name, (a, b) in spans.items()]
    chapters.write_text("\n".join([";FFMETADATA1", *lines, ""]))
    film = _film(tmp_path / "film.mp4", *_H264, "-c:a", "aac")
    source = tmp_path / "source.mkv"
    ffmpeg("-i", film, "-i", chapters, "-map_metadata", "1", "-c", "copy", source)
    start_s = float(shown(source)[0].at_s)
    options = SinkOptions(painting="test", segment_frames=5, start_s=0.2 - start_s, end_s=0.8 - start_s)
    found = probe(copy(source, tmp_path / f"out.{suffix}", options), "-show_chapters")["chapters"]
    times = {c["tags"]["title"]: (float(c["start_time"]), float(c["end_time"])) for c in found}
    expected = {"one": (0.0, 0.1), "two": (0.1, 0.4), "three": (0.4, 0.6)}
    assert times.keys() == expected.keys()
    for name, span in expected.items():
        assert times[name] == pytest.approx(span, abs=0.041)


def test_attachments_and_covers_reach_matroska_and_what_mp4_lacks_is_said(tmp_path: Path) -> None:
    font, cover = tmp_path / "letters.ttf", tmp_path / "cover.png"
    font.write_bytes(b"letters")
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:d=1", "-frames:v", "1", cover)
    kinds = ("-metadata:s:t:0", "mimetype=application/x-truetype-font", "-attach", cover)
    film = _film(tmp_path / "film.mkv", *_H264, "-c:a", "aac")
    source = tmp_path / "source.mkv"
    ffmpeg("-i", film, "-c", "copy", "-attach", font, *kinds, "-metadata:s:t:1", "mimetype=image/png", source)
    assert _copied(source, tmp_path / "out.mkv") == []
    tracks = probe(tmp_path / "out.mkv")["streams"]
    assert [track["tags"]["filename"] for track in tracks if "filename" in track.get("tags", {})] == [
        "letters.ttf",
        "cover.png",
    ]
    assert _copied(source, tmp_path / "out.mp4") == ["attachment track 2 (letters.ttf) left out: mp4 does not take it"]
    tracks = probe(tmp_path / "out.mp4")["streams"]
    assert [track["codec_name"] for track in tracks if track["disposition"]["attached_pic"]] == ["png"]


# A picture of 8×2 pixels that begins to be shown, and never ends.
_SPU = bytes.fromhex(
    "0028000c00100000001000000000000c03321004ffff050000070000010600040008 01ff".replace(" ", "")
) + bytes(5)


def _add_cues(film: Path, target: Path, cues: list[tuple[int, bytes]], codec: str = "subrip") -> None:
    with av.open(str(film)) as source, av.open(str(target), "w") as out:
        tracks = [out.add_stream_from_template(stream, opaque=True) for stream in source.streams]
        text = out.add_mux_stream("subrip") if codec == "subrip" else out.add_stream(codec)
        text.time_base = Fraction(1, 1000)
        if codec == "dvdsub":
            text.codec_context.extradata = b"size: 160x120\npalette: " + b", ".join([b"ffffff"] * 16) + b"\n"
        packets = [
            ((packet.dts or 0) * packet.time_base, tracks[packet.stream.index], packet)
            for packet in source.demux()
            if packet.size
        ]
        for at_ms, data in cues:
            packet = av.Packet(data)
            packet.pts = packet.dts = at_ms
            packet.time_base = Fraction(1, 1000)
            packet.duration = 150 if codec == "subrip" else 0
            packets.append((Fraction(at_ms, 1000), text, packet))
        for _, track, packet in sorted(packets, key=lambda item: item[0]):
            packet.stream = track
            out.mux(packet)


def _copied(source: Path, output: Path) -> list[str]:
    """Copy, and return what is said of the output."""
    video = VideoSource(source)
    sink = open_sink(source, output, video.info, OPTIONS)
    write(sink, video.frames())
    sink.finish()
    sink.close()
    return sink.take_notices()
