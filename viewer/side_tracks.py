"""The source's side tracks while a film is written: read in step with the pictures, converted, and counted where lost.

Invariant: damage to sound or subtitles costs the damaged packets alone, and is said once at the end.
"""

import errno
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from pipeline.ffmpeg import file_of
from viewer.source_clock import SourceClock
from viewer.track_plan import TrackPlan, open_tracks
from viewer.tracks import REFUSALS, Track

log = logging.getLogger(__name__)

#: A packet, and when it is to be decoded, in seconds.
Timed = tuple[Fraction, "Packet[Any]"]


@dataclass(frozen=True, slots=True)
class Timeline:
    """`shift_s` is taken from every time; sound outside `start_s`…`end_s` (None: no bound) is left out."""

    shift_s: Fraction
    start_s: Fraction | None
    end_s: Fraction | None


class SideTracks:
    """The planned tracks of one source on their way into one output."""

    def __init__(
        self, source: InputContainer, out: OutputContainer, plan: TrackPlan, timeline: Timeline, clock: SourceClock
    ) -> None:
        """Add the tracks to `out`. Raises ValueError, `av.FFmpegError` where that does not take them."""
        self._source, self._out, self._timeline, self._clock = source, out, timeline, clock
        self._feeds = {index: _Feed(track) for index, track in open_tracks(source, out, plan).items()}

    def packets(self) -> Iterator[Timed]:
        """Yield packets as the output takes them, once its header is written.

        A source that breaks ends here too, with a warning.
        """
        if not self._feeds:
            return
        timeline = self._timeline
        try:
            for packet in self._source.demux([feed.track.source for feed in self._feeds.values()]):
                stamp = packet.pts if packet.pts is not None else packet.dts
                if stamp is None or not packet.size or packet.is_corrupt:
                    continue
                added_s = self._clock.added(packet)
                second = stamp * packet.time_base + added_s
                if timeline.start_s is not None and second < timeline.start_s:
                    continue
                if timeline.end_s is not None and second >= timeline.end_s:
                    continue
                yield from _timed(self._feeds[packet.stream.index].convert(packet, timeline.shift_s - added_s))
        except av.FFmpegError as error:
            name = file_of(self._source.name)
            log.warning("%s: sound and subtitles end where the file breaks (%s)", name, error.strerror)
        for feed in self._feeds.values():
            yield from _timed(feed.flush())

    def mux(self, packet: "Packet[Any]") -> None:
        """Write a packet of these tracks or of the pictures. One of these that the muxer calls invalid is left out."""
        try:
            self._out.mux(packet)
        except av.FFmpegError as error:
            index = packet.stream_index
            feed = next((feed for feed in self._feeds.values() if feed.track.target.index == index), None)
            if feed is None or error.errno != errno.EINVAL:
                raise
            feed.lost += 1
            log.debug("track %d at %s is refused: %s", feed.track.source.index, packet.pts, error)

    def notices(self) -> list[str]:
        """Return a line for each track that lost packets."""
        return [line for feed in self._feeds.values() if (line := feed.notice())]


@dataclass(slots=True)
class _Feed:
    """A side track, and how many of its packets found no way into the output."""

    track: Track
    lost: int = 0

    def convert(self, packet: "Packet[Any]", shift_s: Fraction) -> "Iterator[Packet[Any]]":
        """Yield the converted packet; a damaged one costs itself alone."""
        try:
            yield from self.track.convert(packet, shift_s)
        except REFUSALS as error:
            self.lost += 1
            log.debug("track %d at %s: %s", self.track.source.index, packet.pts, error)

    def flush(self) -> "Iterator[Packet[Any]]":
        """Yield what the track holds back."""
        try:
            yield from self.track.flush()
        except REFUSALS as error:
            self.lost += 1
            log.debug("track %d at its end: %s", self.track.source.index, error)

    def notice(self) -> str:
        """Return the line about what is lost, or nothing."""
        if not self.lost:
            return ""
        kind = "sound" if self.track.source.type == "audio" else self.track.source.type
        return f"{self.lost} damaged packets of {kind} track {self.track.source.index} left out"


def _timed(packets: "Iterator[Packet[Any]]") -> Iterator[Timed]:
    return (((packet.dts or 0) * packet.time_base, packet) for packet in packets)
