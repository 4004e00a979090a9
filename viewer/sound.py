"""Sound that the output's container does not take, decoded and encoded again with its times kept.

Invariant: samples stay where the source's clock puts them. Missing ones become silence and doubled ones are dropped,
so the encoder gets one unbroken run and no player meets a hole in the track.
"""

from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction
from typing import Any

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from numpy.typing import NDArray

from viewer.tracks import NO_EDIT_LISTS

# Per channel; FFmpeg's AAC is transparent to most ears there, Opus well below.
_BITS_PER_S = 96_000
# By number of channels: many files do not say which is which, and encoders want to know.
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
_RATES = {
    "aac": frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}),
    "libopus": frozenset({48000}),
}
# Stamps in milliseconds jitter by one. Sound further than this from where the samples before it end is a gap or a
# double.
_DRIFT_S = Fraction(1, 50)
# A longer gap stays one: a clock that jumped would be filled with hours of silence.
_MOST_SILENCE_S = 60
_SILENCE_SAMPLES = 1 << 14

_Samples = NDArray[Any]


class EncodedSound:
    """One sound track, encoded as `codec`: "aac" or "libopus"."""

    def __init__(self, source: AudioStream, out: OutputContainer, codec: str) -> None:
        """Add the track to `out`. Raises ValueError or `av.FFmpegError` where that does not take it."""
        self.source: Stream = source
        self._decoder = source.codec_context
        layout = _LAYOUTS.get(source.channels, "stereo")
        self._rate = source.rate if source.rate in _RATES[codec] else 48000
        encoder = out.add_stream(codec, rate=self._rate, layout=layout)
        assert isinstance(encoder, AudioStream)
        self._encoder = encoder
        self._encoder.bit_rate = _BITS_PER_S * self._encoder.channels
        self._encoder.time_base = self._tick = Fraction(1, self._rate)
        self.target: Stream = self._encoder
        self._layout = layout
        self._hides_nothing = out.format.name in NO_EDIT_LISTS
        self._resampler: AudioResampler | None = None
        self._kind: tuple[str, int, int] = ("", 0, 0)  # sample format, channels, rate
        self._source_layout = layout
        self._fifo = AudioFifo()
        # Where the samples taken so far end, on the output's clock; None before the first.
        self._end_s: Fraction | None = None
        self._at = 0  # where the first sample in the queue belongs, in output samples
        self._stamps = Fraction(1)  # the packets' time base
        self._shift_s = Fraction(0)

    def convert(self, packet: "Packet[Any]", shift_s: Fraction) -> "Iterator[Packet[Any]]":
        """Yield what the output takes for this packet, `shift_s` earlier. Raises `av.FFmpegError` for damage."""
        self._shift_s, self._stamps = shift_s, packet.time_base
        stamp = packet.pts if packet.pts is not None else packet.dts
        # Some decoders leave the first frames without a time.
        packet_s = stamp * packet.time_base if stamp is not None and self._end_s is None else None
        for frame in self._decoder.decode(packet):
            yield from self._hear(frame, packet_s)
            packet_s = None

    def flush(self) -> "Iterator[Packet[Any]]":
        """Yield what decoder, resampler and encoder still hold."""
        for frame in self._decoder.decode(None):
            yield from self._hear(frame, None)
        yield from self._empty_resampler()
        yield from self._encode(partial=True)
        yield from self._kept(self._encoder.encode(None))

    def _hear(self, frame: AudioFrame, packet_s: Fraction | None) -> "Iterator[Packet[Any]]":
        """Take a decoded frame; `packet_s` is its time where the decoder gives none."""
        kind = (frame.format.name, frame.layout.nb_channels, frame.sample_rate)
        if kind != self._kind:
            yield from self._empty_resampler()
            self._kind, self._source_layout = kind, _layout_of(frame)
        samples = frame.to_ndarray()  # (channels, n) planar, (1, n·channels) packed
        at_s = packet_s if frame.pts is None else frame.pts * (frame.time_base or self._stamps)
        if at_s is not None:
            at_s -= self._shift_s
            if self._end_s is None or at_s - self._end_s > _MOST_SILENCE_S:
                yield from self._begin(max(at_s, Fraction(0)))
            gap_s = at_s - (self._end_s or 0)
            # What lies before the film's start is cut to the sample; later, only what cannot be rounding.
            if abs(gap_s) > _DRIFT_S or at_s < 0:
                samples = yield from self._bridge(gap_s, samples)
        elif self._end_s is None:
            yield from self._begin(Fraction(0))
        yield from self._take(samples)

    def _begin(self, at_s: Fraction) -> "Iterator[Packet[Any]]":
        """Start a run of samples at `at_s`."""
        yield from self._empty_resampler()
        if self._fifo.samples:
            # Encoders take a short frame only as the last one.
            silence = AudioFrame.from_ndarray(
                np.zeros((self._encoder.channels, self._frame_samples() - self._fifo.samples), np.float32),
                "fltp",
                self._layout,
            )
            silence.sample_rate = self._rate
            yield from self._queue(silence)
        self._end_s, self._at = at_s, round(at_s * self._rate)

    def _bridge(self, gap_s: Fraction, samples: _Samples) -> "Generator[Packet[Any], None, _Samples]":
        """Fill a gap before `samples` with silence; return them without what overlaps the sound before them."""
        missing, width = round(gap_s * self._kind[2]), self._width()
        if missing < 0:
            return samples[:, -missing * width :]
        # Unsigned samples rest in the middle of their range.
        rest = 128 if samples.dtype == np.uint8 else 0
        while missing > 0:
            now = min(missing, _SILENCE_SAMPLES)
            yield from self._take(np.full((samples.shape[0], now * width), rest, samples.dtype))
            missing -= now
        return samples

    def _take(self, samples: _Samples) -> "Iterator[Packet[Any]]":
        """Resample and encode the samples that follow the last ones."""
        count = samples.shape[1] // self._width()
        if not count:
            return
        name, _, rate = self._kind
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), name, self._source_layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        self._end_s = (self._end_s or 0) + Fraction(count, rate)
        if self._resampler is None:
            self._resampler = AudioResampler("fltp", self._layout, self._rate)
        for resampled in self._resampler.resample(frame):
            yield from self._queue(resampled)

    def _queue(self, frame: AudioFrame) -> "Iterator[Packet[Any]]":
        # The queue counts from 0 and refuses any other time; ours is put on when samples leave it.
        frame.pts = None
        self._fifo.write(frame)
        yield from self._encode(partial=False)

    def _encode(self, *, partial: bool) -> "Iterator[Packet[Any]]":
        size = self._frame_samples()
        while self._fifo.samples and (frame := self._fifo.read(size, partial=partial)) is not None:
            frame.pts, frame.time_base = self._at, self._tick
            self._at += frame.samples
            yield from self._kept(self._encoder.encode(frame))

    def _kept(self, packets: "Sequence[Packet[Any]]") -> "Iterator[Packet[Any]]":
        """Yield the encoded packets; what an encoder puts before its first sample needs an edit list to hide it."""
        for packet in packets:
            end = (packet.pts or 0) + (packet.duration or 0)
            if end > 0 or not self._hides_nothing:
                yield packet

    def _empty_resampler(self) -> "Iterator[Packet[Any]]":
        """Queue what the resampler holds: the next samples are of another kind, or come much later, or never."""
        if self._resampler is None:
            return
        resampler, self._resampler = self._resampler, None
        for frame in resampler.resample(None):
            if frame is not None and frame.samples:
                yield from self._queue(frame)

    def _frame_samples(self) -> int:
        return self._encoder.codec_context.frame_size or 1024

    def _width(self) -> int:
        """Return how many columns of an array of samples are one moment."""
        name, channels, _ = self._kind
        return 1 if name.endswith("p") else channels


def _layout_of(frame: AudioFrame) -> str:
    """Return the channels' arrangement, the usual one for their number where the file does not say."""
    name = frame.layout.name
    return _LAYOUTS.get(frame.layout.nb_channels, name) if name.endswith("channels") else name
