"""Which encoder writes a film, and with which settings: the words of the command line resolved before painting begins.

Invariant: what `resolve` returns opens on this machine at the film's size, and the output's container holds it.
"""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
from av.codec import Codec
from av.packet import Packet
from av.video.format import VideoFormat
from av.video.stream import VideoStream

from pipeline.errors import UsageError
from viewer.segments import SinkOptions

#: Output suffix → FFmpeg's muxer.
MUXERS = {
    ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm",
    ".gif": "gif", ".webp": "webp", ".png": "apng",
}  # fmt: skip
#: Muxers of pictures alone, which are written from lossless segments when all of them are there.
ANIMATIONS = frozenset({"gif", "webp", "apng", "image2"})
# What each container holds so that its players play it.
_HOLDS = {
    "mp4": ("h264", "hevc", "av1", "vp9"),
    "mov": ("h264", "hevc", "prores"),
    "matroska": ("h264", "hevc", "av1", "prores", "vp9", "ffv1"),
    "webm": ("vp9", "av1"),
}
_X26X = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
# Fixed, since an encoder's output depends on it: a resumed job may run on another machine.
ENCODER_THREADS = 2


@dataclass(frozen=True, slots=True)
class _Software:
    """An encoder of the wheel. `crf_range` is empty where the codec has no such quality."""

    name: str
    pix_fmt: str
    presets: Sequence[str]
    preset: str
    crf_range: tuple[int, ...] = ()
    crf: int = 0


_SOFTWARE = {
    # bigbuckbunny, 132 frames of 1280×720, JPEG 95 and x264 on two busy cores, 2026-11 (BGR, luma, MB, seconds):
    # 18 veryfast 39.9 dB, 43.9 dB, 2.2, 5.3; 18 faster 40.6, 45.0, 2.4, 8.3; 18 medium 41.1, 45.3, 2.6, 13.8;
    # 16 veryfast 40.7, 45.0, 2.9, 5.8; 18 superfast 40.5, 44.7, 3.3, 5.8; 18 ultrafast 40.4, 44.1, 7.3, 3.9.
    "h264": _Software("libx264", "yuv420p", _X26X, "veryfast", (0, 51), 18),
    "hevc": _Software("libx265", "yuv420p", _X26X, "veryfast", (0, 51), 20),
    "av1": _Software("libsvtav1", "yuv420p", tuple(map(str, range(14))), "10", (0, 63), 28),
    "vp9": _Software("libvpx-vp9", "yuv420p", tuple(map(str, range(9))), "5", (0, 63), 24),
    "prores": _Software("prores_ks", "yuv422p10le", ("proxy", "lt", "standard", "hq", "4444", "4444xq"), "hq"),
    "ffv1": _Software("ffv1", "bgr0", (), ""),
}
# Ticks; more than it ever reorders pictures.
_X265_LEAD = 1000
# Graphics cards' own encoders: presets, and what they call 4:2:0.
_HARDWARE = {
    "nvenc": (tuple(f"p{number}" for number in range(1, 8)), "p5", {}),
    "qsv": (_X26X[2:], "medium", {"yuv420p": "nv12", "yuv420p10le": "p010le"}),
}
#: What `--encoder` takes.
NAMES = ("auto", *_SOFTWARE, *(f"{codec}_{kind}" for kind in _HARDWARE for codec in ("h264", "hevc", "av1")))


@dataclass(frozen=True, slots=True)
class Encoder:
    """One encoder with its settings. `options`: FFmpeg's, as sorted pairs, so that equal ones look equal."""

    codec: str
    name: str
    pix_fmt: str
    options: tuple[tuple[str, str], ...]
    muxer: str

    @property
    def segment_format(self) -> str:
        """FFmpeg's muxer for this encoder's segments: times as fine as the source's, and an index."""
        return "mov" if self.codec == "prores" else "mp4"

    def padded(self, width: int, height: int) -> tuple[int, int]:
        """Return the size as written: 4:2:0 has no odd sizes."""
        small = VideoFormat(self.pix_fmt, 2, 2)
        halves_x, halves_y = small.chroma_width(2) == 1, small.chroma_height(2) == 1
        return width + (width % 2 if halves_x else 0), height + (height % 2 if halves_y else 0)

    def stamped(self, packets: "Sequence[Packet[VideoStream]]", before: int) -> "Sequence[Packet[VideoStream]]":
        """Return a segment's packets as its muxer takes them. `before`: how many came before.

        x265 gives random decoding times where a segment has fewer pictures than it reorders, as a film's last may have.
        Any that rise and lie before the pictures' own times do: the join counts them anew.
        """
        if self.name == "libx265":
            for number, packet in enumerate(packets, before):
                packet.dts = number - _X265_LEAD
        return packets

    def add_to(self, out: "av.container.OutputContainer", rate: Fraction, size: tuple[int, int]) -> VideoStream:
        """Add a stream of this encoder to `out`. Raises ValueError where that does not take it."""
        stream = out.add_stream(self.name, rate=rate, options=dict(self.options))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = self.pix_fmt
        stream.codec_context.thread_count = ENCODER_THREADS
        return stream


def resolve(options: SinkOptions, suffix: str, size: tuple[int, int]) -> tuple[Encoder, list[str]]:
    """Return the encoder for an output of this suffix and size, and lines for the user. Raises `UsageError`."""
    muxer = MUXERS[suffix.lower()]
    if muxer in ANIMATIONS:
        _refuse_settings(options, suffix)
        return _software("ffv1", SinkOptions(), muxer), []
    codec, _, kind = _codec_of(options.encoder, muxer).partition("_")
    if codec not in _HOLDS[muxer]:
        raise UsageError(f"{suffix} does not hold {codec}; it holds {', '.join(_HOLDS[muxer])} (--encoder)")
    notices: list[str] = []
    if kind:
        encoder = _hardware(codec, kind, options, muxer)
        if not (problem := why_not(encoder, size)):
            return encoder, notices
        encoder = _software(codec, SinkOptions(crf=options.crf, pix_fmt=options.pix_fmt), muxer)
        notices.append(f"{codec}_{kind} does not open here ({problem}); {encoder.name} encodes")
    else:
        encoder = _software(codec, options, muxer)
    # The common one opens wherever this program runs.
    if encoder.name != "libx264" and (problem := why_not(encoder, size)):
        raise UsageError(f"{encoder.name} does not take {size[0]}×{size[1]} in {encoder.pix_fmt} ({problem})")
    return encoder, notices


@lru_cache
def why_not(encoder: Encoder, size: tuple[int, int]) -> str:
    """Return why an encoder does not encode a picture here, nothing where it does."""
    width, height = encoder.padded(*size)
    try:
        with av.open(io.BytesIO(), "w", format=encoder.segment_format) as out:
            stream = encoder.add_to(out, Fraction(25), (width, height))
            picture = av.VideoFrame(width, height, encoder.pix_fmt)
            picture.pts, picture.time_base = 0, Fraction(1, 25)
            first = encoder.stamped(stream.encode(picture), 0)
            out.mux(first)
            out.mux(encoder.stamped(stream.encode(None), len(first)))
    except (av.FFmpegError, ValueError) as error:
        return (getattr(error, "strerror", None) or str(error)).lower()
    return ""


def opens_here() -> dict[str, bool]:
    """Say of each name `--encoder` takes whether it opens on this machine; half a second."""
    found = {}
    for name in NAMES[1:]:
        codec, _, kind = name.partition("_")
        encoder = _hardware(codec, kind, SinkOptions(), "matroska") if kind else _software(codec, SinkOptions(), "")
        found[name] = not why_not(encoder, (320, 240))
    return found


def _codec_of(name: str, muxer: str) -> str:
    if name not in NAMES:
        raise UsageError(f"--encoder {name}: it is one of {', '.join(NAMES)}")
    return _HOLDS[muxer][0] if name == "auto" else name


def _software(codec: str, options: SinkOptions, muxer: str) -> Encoder:
    software = _SOFTWARE[codec]
    crf, preset = _quality(codec, software, options)
    settings = {
        "h264": {"crf": crf, "preset": preset},
        # Its own log goes to standard error, FFmpeg's does not.
        "hevc": {"crf": crf, "preset": preset, "x265-params": f"log-level=error:pools={ENCODER_THREADS}"},
        "av1": {"crf": crf, "preset": preset, "svtav1-params": f"lp={ENCODER_THREADS}"},
        # Without a rate of 0 the quality is only a bound.
        "vp9": {"crf": crf, "cpu-used": preset, "b": "0", "deadline": "good", "row-mt": "1"},
        "prores": {"profile": preset, "vendor": "apl0"},
        "ffv1": {"level": "3", "slices": "4", "slicecrc": "1"},
    }[codec]
    if codec == "av1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only: it tells its settings on standard error
    pix_fmt = options.pix_fmt or ("yuv444p10le" if preset.startswith("4444") else software.pix_fmt)
    _require_format(software.name, pix_fmt)
    return Encoder(codec, software.name, pix_fmt, tuple(sorted(settings.items())), muxer)


def _quality(codec: str, software: _Software, options: SinkOptions) -> tuple[str, str]:
    """Return crf and preset, checked. Raises `UsageError` naming what would be right."""
    crf = software.crf if options.crf is None else options.crf
    preset = options.preset or software.preset
    if options.crf is not None and not software.crf_range:
        instead = "its quality is --preset" if codec == "prores" else "it loses nothing"
        raise UsageError(f"--crf is not for {codec}: {instead}")
    if software.crf_range and not software.crf_range[0] <= crf <= software.crf_range[1]:
        raise UsageError(f"{codec}'s quality is --crf {software.crf_range[0]} (best) to {software.crf_range[1]}")
    if preset and preset not in software.presets:
        raise UsageError(f"{codec}'s --preset is one of {', '.join(software.presets) or 'none: it has no speeds'}")
    return str(crf), preset


def _hardware(codec: str, kind: str, options: SinkOptions, muxer: str) -> Encoder:
    presets, preset, formats = _HARDWARE[kind]
    if options.preset and options.preset not in presets:
        raise UsageError(f"{codec}_{kind}'s --preset is one of {', '.join(presets)}")
    crf = 20 if options.crf is None else options.crf
    if not 0 <= crf <= 51:
        raise UsageError(f"{codec}_{kind}'s quality is --crf 0 (best) to 51")
    quality = {"rc": "vbr", "cq": str(crf), "b": "0"} if kind == "nvenc" else {"global_quality": str(max(1, crf))}
    settings = {"preset": options.preset or preset, **quality}
    pix_fmt = options.pix_fmt or "yuv420p"
    pix_fmt = {"yuv420p10le": "p010le"}.get(pix_fmt, pix_fmt) if kind == "nvenc" else formats.get(pix_fmt, pix_fmt)
    _require_format(f"{codec}_{kind}", pix_fmt)
    return Encoder(codec, f"{codec}_{kind}", pix_fmt, tuple(sorted(settings.items())), muxer)


def _require_format(name: str, pix_fmt: str) -> None:
    known = [known.name for known in Codec(name, "w").video_formats or ()]
    if pix_fmt not in known:
        shown = [one for one in known if one.startswith(("yuv4", "nv12", "p010", "bgr0", "gbrp")) and one[-1] != "a"]
        raise UsageError(f"--pix-fmt {pix_fmt}: {name} takes {', '.join(shown)}")


def _refuse_settings(options: SinkOptions, suffix: str) -> None:
    if options.encoder != "auto" or options.crf is not None or options.preset or options.pix_fmt:
        raise UsageError(f"{suffix} has an encoder of its own: leave out --encoder, --crf, --preset and --pix-fmt")
