"""Small clips and photos as the world has them, made with PyAV and Pillow: a few frames, a known picture each.

Frame `n` of a clip shows a bright block at place `n`, so that order, orientation and number can be read off pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # isort: skip
import av
import numpy as np
from av.container import OutputContainer
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import SubtitleSet
from numpy.typing import NDArray

STEP = 512  # ticks of 1/12800 s: 25 frames a second


@dataclass(frozen=True, slots=True)
class Clip:
    """What a clip is to be like."""

    frames: int = 12
    # Not 64×48: x264 gave three different files in 150 tries there, one in 150 tries at this size.
    width: int = 128
    height: int = 96
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    pts: Sequence[int] | None = None
    time_base: Fraction = Fraction(1, 12800)
    options: dict[str, str] = field(default_factory=lambda: {"crf": "10", "bf": "2", "g": "6"})
    tags: dict[str, int] = field(default_factory=dict)
    aspect: Fraction | None = None
    rotation: int = 0
    audio: Sequence[str] = ()
    languages: Sequence[str] = ()
    audio_start_s: float = 0.0
    subtitles: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    chapters: Sequence[str] = ()
    #: Of the muxer, which by itself moves times below zero up to it.
    muxing: dict[str, str] = field(default_factory=dict)


def picture(number: int, width: int = 128, height: int = 96) -> NDArray[np.uint8]:
    """Return BGR pixels: a gradient, and a bright block whose column tells `number` (0…15), in the upper half."""
    columns, rows = np.meshgrid(np.linspace(40, 150, width), np.linspace(20, 120, height))
    pixels = np.stack([columns, rows, np.full_like(rows, 60 + 5 * (number % 16))], axis=-1).astype(np.uint8)
    left = (number % 16) * width // 16
    pixels[: height // 4, left : left + max(2, width // 16)] = (40, 60, 250)
    return pixels


def texture(height: int, width: int, *, seed: int = 1, contrast: float = 50.0) -> NDArray[np.uint8]:
    """Return a picture with something to see everywhere, as much in its middle whatever its size."""
    coarse = np.random.default_rng(seed).normal(0, 1, (512, 512, 3)).astype(np.float32)
    fine = cv2.GaussianBlur(coarse, (0, 0), 3)[:height, :width]
    return np.asarray((128 + contrast * fine / 0.094).clip(0, 255), np.uint8)


def make_clip(path: Path, clip: Clip | None = None) -> Path:
    """Write a clip; the muxer follows the suffix."""
    clip = clip or Clip()
    with av.open(str(path), "w", options=dict(clip.muxing)) as out:
        out.metadata.update(clip.metadata)
        if clip.chapters:
            out.set_chapters([_chapter(number, title) for number, title in enumerate(clip.chapters)])
        video = out.add_stream(clip.codec, rate=25, options=dict(clip.options))
        video.width, video.height, video.pix_fmt = clip.width, clip.height, clip.pix_fmt
        video.codec_context.time_base = video.time_base = clip.time_base
        if clip.aspect:
            video.codec_context.sample_aspect_ratio = clip.aspect
        for name, value in clip.tags.items():
            setattr(video.codec_context, name, value)
        if clip.rotation:
            video.set_display_rotation(clip.rotation)
        sound = [_add_sound(out, codec, language) for codec, language in _tracks(clip)]
        text = _add_text(out, clip.subtitles) if clip.subtitles else None
        for number in range(clip.frames):
            out.mux(video.encode(_frame(clip, number)))
        out.mux(video.encode(None))
        for index, track in enumerate(sound):
            _mux_sound(out, track, 300.0 * (index + 1), clip)
        if text is not None:
            _mux_text(out, text)
    return path


def pts_of(path: Path) -> list[Fraction]:
    """Return the presentation time of each picture in seconds, as FFmpeg decodes it."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def packets_of(path: Path, index: int) -> list[tuple[Fraction, bytes]]:
    """Return time and bytes of each packet of one stream."""
    with av.open(str(path)) as container:
        demuxed = container.demux(container.streams[index])
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in demuxed if packet.size]


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return how alike two pictures are, in dB."""
    error = float(np.mean((one.astype(np.float64) - other) ** 2))
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


def rms(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the root mean square difference, of 255."""
    return float(np.sqrt(np.square(one.astype(float) - other).mean()))


def _chapter(number: int, title: str) -> dict[str, object]:
    """Return one fifth of a second as a chapter."""
    span = {"start": number * 200, "end": number * 200 + 200, "time_base": Fraction(1, 1000)}
    return {"id": number, **span, "metadata": {"title": title}}


def _frame(clip: Clip, number: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(picture(number, clip.width, clip.height), format="bgr24")
    frame = frame.reformat(
        format=clip.pix_fmt,
        dst_colorspace=clip.tags.get("colorspace", 5),
        src_color_range=2,
        dst_color_range=clip.tags.get("color_range", 1),
    )
    frame.pts = clip.pts[number] if clip.pts else number * round(Fraction(1, 25) / clip.time_base)
    frame.time_base = clip.time_base
    return frame


def _tracks(clip: Clip) -> list[tuple[str, str]]:
    return [(codec, clip.languages[i] if i < len(clip.languages) else "") for i, codec in enumerate(clip.audio)]


def _add_sound(out: OutputContainer, codec: str, language: str) -> av.AudioStream:
    stream = out.add_stream(codec, rate=48000, layout="mono")
    if language:
        stream.metadata["language"] = language
    return stream


def _mux_sound(out: OutputContainer, stream: av.AudioStream, pitch: float, clip: Clip) -> None:
    rate = stream.rate
    length = round(rate * clip.frames / 25)
    wave = np.sin(np.arange(length) * 2 * np.pi * pitch / rate).astype(np.float32)[None] * 0.4
    size = stream.codec_context.frame_size or 1024
    resampler = av.AudioResampler(format=stream.format.name, layout="mono", rate=rate)
    for at in range(0, length, size):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[:, at : at + size]), "fltp", "mono")
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = at + round(clip.audio_start_s * rate)
        for resampled in resampler.resample(frame):
            out.mux(stream.encode(resampled))
    out.mux(stream.encode(None))


def _add_text(out: OutputContainer, codec: str) -> SubtitleStream:
    stream = out.add_stream(codec)
    stream.codec_context.subtitle_header = _ASS_HEADER
    stream.metadata["language"] = "eng"
    return stream


def _mux_text(out: OutputContainer, stream: SubtitleStream) -> None:
    for start_ms, text in ((80, b"first line"), (240, b"second line")):
        shown = SubtitleSet.create(text=b"0,0,Default,,0,0,0,," + text, start=0, end=120, pts=start_ms * 1000)
        packet = stream.codec_context.encode_subtitle(shown)
        packet.pts = packet.dts = start_ms
        packet.duration, packet.time_base, packet.stream = 120, Fraction(1, 1000), stream
        out.mux(packet)


_ASS_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\nStyle: Default,Arial,16\n\n"
    b"[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)
