"""The source's sound and subtitles on their way into the output: copied where the container takes them.

Sound it refuses becomes AAC, text it refuses its own kind of text; pictures of text it refuses are left out, with a
warning. Invariant: a packet keeps its time, less the shift all tracks share.
"""

import logging
from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

from pipeline.ffmpeg import file_of

log = logging.getLogger(__name__)

# Per channel; FFmpeg's AAC is transparent to most ears there.
_AAC_BITS_PER_S = 96_000
_AAC_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
_AAC_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000})
# Sound further than this from where the samples before it end is a gap, not rounding.
_DRIFT_S = Fraction(1, 50)
_TEXT_CODECS = frozenset({"ass", "mov_text", "srt", "ssa", "subrip", "text", "webvtt"})


class Track(Protocol):
    """One track's way from source to output."""

    @property
    def source(self) -> Stream:
        """The source's track."""
        ...

    def convert(self, packet: "Packet[Stream]", shift_s: Fraction) -> "Iterator[Packet[Stream]]":
        """Yield what the output takes for this packet, `shift_s` earlier."""
        ...

    def flush(self) -> "list[Packet[Stream]]":
        """Return what is still held back at the end."""
        ...


def open_tracks(source: InputContainer, out: OutputContainer) -> dict[int, Track]:
    """Add every sound and subtitle track of `source` to `out`; by the source's stream index."""
    tracks: dict[int, Track] = {}
    streams: list[AudioStream | SubtitleStream] = [*source.streams.audio, *source.streams.subtitles]
    for stream in streams:
        track = _open_track(stream, out)
        if track is None:
            log.warning(
                "%s: track %d (%s) cannot be kept in the output", file_of(source.name), stream.index, _codec(stream)
            )
            continue
        tracks[stream.index] = track
    return tracks


class _Copy:
    """Packets pass as they are."""

    def __init__(self, source: Stream, out: OutputContainer) -> None:
        self.source = source
        self._target = out.add_stream_from_template(source)
        _describe(source, self._target)

    def convert(self, packet: "Packet[Stream]", shift_s: Fraction) -> "Iterator[Packet[Stream]]":
        _shift(packet, shift_s)
        packet.stream = self._target
        yield packet

    def flush(self) -> "list[Packet[Stream]]":
        return []


class _ToAac:
    """Sound is decoded and encoded again, sample times kept."""

    def __init__(self, source: AudioStream, out: OutputContainer) -> None:
        self.source = source
        # By number of channels: many files do not say which is which, and AAC wants to know.
        layout = _AAC_LAYOUTS.get(source.channels, "stereo")
        rate = source.rate if source.rate in _AAC_RATES else 48000
        self._target = out.add_stream("aac", rate=rate, layout=layout)
        self._target.bit_rate = _AAC_BITS_PER_S * self._target.channels
        self._target.time_base = self._tick = Fraction(1, rate)
        self._resampler = AudioResampler(format="fltp", layout=layout, rate=rate)
        self._fifo = AudioFifo()
        self._at: int | None = None  # time of the first sample in the queue
        _describe(source, self._target)

    def convert(self, packet: "Packet[Stream]", shift_s: Fraction) -> "Iterator[Packet[Stream]]":
        _shift(packet, shift_s)
        try:
            frames = [frame for frame in packet.decode() if isinstance(frame, AudioFrame)]
        except av.FFmpegError as error:
            log.debug("sound at %s is damaged: %s", packet.pts, error)
            return
        for frame in frames:
            for resampled in self._resampler.resample(frame):
                yield from self._take(resampled)

    def flush(self) -> "list[Packet[Stream]]":
        return [*self._encode(partial=True), *self._target.encode(None)]

    def _take(self, frame: AudioFrame) -> "Iterator[Packet[Stream]]":
        """Queue samples; after a gap counting starts anew at the frame's own time."""
        pts, expected = frame.pts, (self._at or 0) + self._fifo.samples
        gap = pts is not None and (self._at is None or (pts - expected) * self._tick > _DRIFT_S)
        if gap:
            yield from self._encode(partial=True)
            self._at = pts
        # The queue counts from 0 and refuses any other time; ours is put on when samples leave it.
        frame.pts = None
        self._fifo.write(frame)
        yield from self._encode(partial=False)

    def _encode(self, *, partial: bool) -> "Iterator[Packet[Stream]]":
        size = self._target.codec_context.frame_size or 1024
        while self._fifo.samples and (frame := self._fifo.read(size, partial=partial)) is not None:
            frame.pts, frame.time_base = self._at or 0, self._tick
            self._at = frame.pts + frame.samples
            yield from self._target.encode(frame)


class _ToText:
    """Text subtitles of another kind become the container's own kind."""

    def __init__(self, source: SubtitleStream, out: OutputContainer) -> None:
        if source.codec_context.name not in _TEXT_CODECS:
            raise ValueError(f"{source.codec_context.name} is not text")
        self.source, self._decoder = source, source.codec_context
        # Opened now, since an open decoder knows the styles' header that the encoder starts from.
        self._decoder.open(strict=False)
        self._target = out.add_stream("subrip" if out.format.name == "matroska" else "mov_text")
        self._encoder = self._target.codec_context
        self._encoder.subtitle_header = self._decoder.subtitle_header
        _describe(source, self._target)

    def convert(self, packet: "Packet[Stream]", shift_s: Fraction) -> "Iterator[Packet[Stream]]":
        shown = self._decoder.decode2(packet)
        if shown is None or not len(shown):
            return
        text = self._encoder.encode_subtitle(shown)
        text.pts, text.duration, text.time_base = packet.pts, packet.duration, packet.time_base
        _shift(text, shift_s)
        text.dts, text.stream = text.pts, self._target
        yield text

    def flush(self) -> "list[Packet[Stream]]":
        return []


def _open_track(stream: AudioStream | SubtitleStream, out: OutputContainer) -> Track | None:
    """Add the stream to `out` as it is, else converted, else not at all."""
    if not stream.codec_context:
        return None  # a codec this FFmpeg does not know
    try:
        return _Copy(stream, out)
    except (ValueError, av.FFmpegError):
        log.info("track %d (%s) is converted for the output", stream.index, _codec(stream))
    try:
        return _ToAac(stream, out) if isinstance(stream, AudioStream) else _ToText(stream, out)
    except (ValueError, av.FFmpegError):
        return None


def _describe(source: Stream, target: Stream) -> None:
    """Keep language, title and which track is the default."""
    kept = ("language", "title", "handler_name")
    target.metadata.update({key: value for key, value in source.metadata.items() if key in kept})
    target.disposition = source.disposition


def _shift(packet: "Packet[Stream]", shift_s: Fraction) -> None:
    ticks = round(shift_s / packet.time_base)
    if packet.pts is not None:
        packet.pts -= ticks
    packet.dts = packet.pts if packet.dts is None else packet.dts - ticks


def _codec(stream: Stream) -> str:
    return stream.codec_context.name if stream.codec_context is not None else "unknown"
