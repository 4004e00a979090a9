"""The source's sound and subtitles on their way into the output: packet by packet, or converted.

Invariant: a packet keeps its time, less the shift all tracks share; decoding times of a track rise, as muxers demand,
whatever the source's do.
"""

from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from typing import Any, Protocol

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream

#: What a track that cannot be read, converted or written raises: FFmpeg's refusals, and what its missing or absurd
#: numbers lead to here.
REFUSALS = (av.FFmpegError, ValueError, TypeError, ArithmeticError)
#: FFmpeg's muxers that cannot hide a track's first moments: times below zero would move all tracks.
NO_EDIT_LISTS = frozenset({"matroska", "webm", "nut"})
# These take packets of equal times; others want them to rise.
_EQUAL_TIMES = frozenset({"matroska", "webm"})
#: Text subtitles are written as this, by FFmpeg's muxer.
TEXT_CODECS = {"matroska": "subrip", "webm": "webvtt", "mp4": "mov_text", "mov": "mov_text"}
_TEXT = frozenset({"ass", "mov_text", "srt", "ssa", "subrip", "text", "webvtt"})
# mov_text has 16 bits for a cue's length.
_MOST_CUE_BYTES = 65_000
# Samples that Opus puts before the first one: 312 at 48 kHz by default, and up to 6.5 ms more in other modes.
_OPUS_DELAY_S = Fraction(13, 1000)
# How long the last subtitle of a track lasts where nothing says so.
_SHOWN_S = Fraction(1)


class Track(Protocol):
    """One track's way from source to output."""

    source: Stream
    target: Stream

    def convert(self, packet: "Packet[Any]", shift_s: Fraction) -> "Iterator[Packet[Any]]":
        """Yield what the output takes for this packet, `shift_s` earlier; call it once the header is written.

        Raises ValueError or `av.FFmpegError` for a packet that cannot be converted; the next one may.
        """
        ...

    def flush(self) -> "Iterator[Packet[Any]]":
        """Yield what is still held back at the end."""
        ...


class CopiedTrack:
    """Packets pass as they are, at stamps that rise."""

    def __init__(self, source: Stream, out: OutputContainer) -> None:
        """Add the track to `out`. Raises ValueError or `av.FFmpegError` where that does not take it."""
        self.source = source
        self.target: Stream = out.add_stream_from_template(source)
        self._is_sound = source.type == "audio"
        self._hides_nothing = out.format.name in NO_EDIT_LISTS
        # Matroska takes this from Opus' times by itself.
        self._delay_s = _OPUS_DELAY_S if source.codec_context and source.codec_context.name == "opus" else Fraction(0)
        # TrueHD has 1200 packets a second, Matroska a thousand ticks.
        self._apart = 1 if self._is_sound and out.format.name not in _EQUAL_TIMES else 0
        self._last_dts: int | None = None
        self._end = 0
        self._was_moved = False

    def convert(self, packet: "Packet[Any]", shift_s: Fraction) -> "Iterator[Packet[Any]]":
        """Yield the packet unless an edit list cuts it."""
        tick = self.target.time_base or packet.time_base
        stamp = packet.pts if packet.pts is not None else packet.dts
        start_s = (stamp or 0) * packet.time_base - shift_s
        duration = round((packet.duration or 0) * packet.time_base / tick)
        if not duration and not self._is_sound and not self._hides_nothing:
            duration = round(_SHOWN_S / tick)  # MP4 drops a last subtitle of no length
        start = _ticks(start_s, tick)
        # Where the output has an edit list, it hides what lies before 0 again.
        is_hidden = start_s < 0 and not self._hides_nothing
        if (packet.is_discard and not is_hidden) or (self._hides_nothing and start_s < -self._delay_s):
            return
        dts = start if packet.dts is None else _ticks(packet.dts * packet.time_base - shift_s, tick)
        dts = self._rising(dts, duration)
        packet.dts, packet.pts = dts, max(dts, start)
        packet.duration, packet.time_base, packet.stream = duration, tick, self.target
        yield packet

    def flush(self) -> "Iterator[Packet[Any]]":
        """Nothing is held back."""
        return iter(())

    def _rising(self, dts: int, duration: int) -> int:
        """Return `dts`, or where it does not rise: behind the packet before, as recorders double a stamp; further ones
        a tick apart, until the source's stamps are past them."""
        last = self._last_dts
        least = None if last is None else last + self._apart
        moves = least is not None and dts < least
        if least is not None and moves:
            dts = max(least, self._end) if self._is_sound and not self._was_moved else least
        self._last_dts, self._end, self._was_moved = dts, dts + duration, moves
        return dts


class CoverTrack:
    """A picture of the whole film, as music players and phones show it: one packet, whenever."""

    def __init__(self, source: Stream, out: OutputContainer, data: bytes) -> None:
        """Add the track to `out`. Raises ValueError or `av.FFmpegError` where that does not take it."""
        self.source, self._data = source, data
        self.target: Stream = out.add_stream_from_template(source, opaque=True)
        self.target.disposition = Disposition.attached_pic

    def convert(self, packet: "Packet[Any]", shift_s: Fraction) -> "Iterator[Packet[Any]]":
        """Nothing: the picture is known already."""
        return iter(())

    def flush(self) -> "Iterator[Packet[Any]]":
        """Yield the picture."""
        packet: Packet[Any] = Packet(self._data)
        packet.pts = packet.dts = 0
        packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 1000), self.target, True
        yield packet


class TextTrack:
    """Text subtitles of another kind become the container's own kind."""

    def __init__(self, source: SubtitleStream, out: OutputContainer) -> None:
        """Add the track to `out`. Raises ValueError or `av.FFmpegError` for what is not text, or not taken."""
        codec = TEXT_CODECS.get(out.format.name)
        if source.codec_context.name not in _TEXT or codec is None:
            raise ValueError(f"{source.codec_context.name} is not text")
        self.source: Stream = source
        self._decoder = source.codec_context
        # Opened now, since an open decoder knows the styles' header that the encoder starts from.
        self._decoder.open(strict=False)
        stream = out.add_stream(codec)
        assert isinstance(stream, SubtitleStream)
        self.target: Stream = stream
        self._encoder = stream.codec_context
        self._encoder.subtitle_header = self._decoder.subtitle_header
        self._last_pts: int | None = None

    def convert(self, packet: "Packet[Any]", shift_s: Fraction) -> "Iterator[Packet[Any]]":
        """Yield the cue as the container's text."""
        shown = self._decoder.decode2(_as_utf8(packet))
        if shown is None or not len(shown):
            return
        text = self._encoder.encode_subtitle(shown)
        if text.size > _MOST_CUE_BYTES:
            raise ValueError(f"a cue of {text.size} bytes")
        tick = self.target.time_base or packet.time_base
        pts = round(((packet.pts or 0) * packet.time_base - shift_s) / tick)
        if self._last_pts is not None:
            pts = max(pts, self._last_pts)
        self._last_pts = text.pts = text.dts = pts
        text.duration = round(((packet.duration or 0) * packet.time_base or _SHOWN_S) / tick)
        text.time_base, text.stream = tick, self.target
        yield text

    def flush(self) -> "Iterator[Packet[Any]]":
        """Nothing is held back."""
        return iter(())


def describe(source: Stream, target: Stream) -> None:
    """Keep language, title and which track is the default."""
    kept = ("language", "title", "handler_name")
    target.metadata.update({key: value for key, value in source.metadata.items() if key in kept})
    target.disposition = source.disposition


def _ticks(seconds: Fraction, tick: Fraction) -> int:
    """Return the nearest tick, of two the earlier: Matroska counts Opus' 6.5 ms from −7."""
    return ceil(seconds / tick - Fraction(1, 2))


def _as_utf8(packet: "Packet[Any]") -> "Packet[Any]":
    """Return the cue, its text read as Windows-1252 where it is not UTF-8, which old SRT files are."""
    data = bytes(packet)
    if packet.stream.codec_context.name == "mov_text":  # binary around its text
        return packet
    try:
        data.decode()
    except UnicodeDecodeError:
        recoded: Packet[Any] = Packet(data.decode("cp1252", "replace").encode())
        recoded.pts, recoded.dts, recoded.duration = packet.pts, packet.dts, packet.duration
        recoded.time_base = packet.time_base
        return recoded
    return packet
