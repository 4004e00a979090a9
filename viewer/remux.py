"""From closed segments and the source's other tracks to one file, by packet copy: no picture is encoded twice.

Invariant: pictures keep their timestamps and sound its distance to them. Everything is moved together only where the
source's clock starts anywhere (MPEG-TS), before 0, or at a cut.
"""

import errno
import heapq
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from pipeline.ffmpeg import file_of, file_url
from viewer.metadata import copied_tags, copy_chapters, mov_flags
from viewer.segment_writer import require_whole
from viewer.segments import Segment
from viewer.source_clock import SourceClock
from viewer.source_file import Origin
from viewer.track_plan import TrackPlan, open_tracks
from viewer.tracks import NO_EDIT_LISTS, Track

log = logging.getLogger(__name__)

_Timed = tuple[Fraction, "Packet[Any]"]


@dataclass(frozen=True, slots=True)
class Join:
    """What is joined into `target`. `complete`: to the source's end, so all its sound belongs to it."""

    folder: Path
    segments: tuple[Segment, ...]
    target: Path
    container: str
    complete: bool
    cut_start: bool = False
    plan: TrackPlan = field(default_factory=TrackPlan)


@dataclass(frozen=True, slots=True)
class _Timeline:
    """`shift_s` is taken from every time; sound outside `start_s`…`end_s` (None: no bound) is left out."""

    shift_s: Fraction
    start_s: Fraction | None
    end_s: Fraction | None


def join(job: Join, origin: Origin) -> list[str]:
    """Write `job.target`; return what is to be said of its tracks, a line each.

    Raises OSError, ValueError or `av.FFmpegError`; then the target is not to be used.
    """
    time_base = origin.info.time_base
    timeline = _timeline(job, origin)
    with (
        av.open(file_url(origin.path), metadata_errors="replace") as source,
        av.open(file_url(job.target), "w", format=job.container, container_options=_muxing(job, source)) as out,
    ):
        video = _add_video(out, job, origin)
        out.metadata.update(copied_tags(source))
        copy_chapters(source, out, timeline.shift_s, timeline.start_s, timeline.end_s)
        feeds = {index: _Feed(track) for index, track in open_tracks(source, out, job.plan).items()}
        out.start_encoding()  # from here on each track knows its time base
        pictures = _pictures(job, origin, video, round(timeline.shift_s / time_base))
        clock = SourceClock(origin.path, _step(origin) * time_base)
        others = _others(source, feeds, timeline, clock)
        # Both in the order of decoding, so that the muxer holds nothing back.
        merged: Iterator[_Timed] = heapq.merge(pictures, others, key=lambda item: item[0])
        for _, packet in merged:
            _mux(out, packet, feeds)
        # Here: a stream asked for its number once its file is closed ends the process.
        notices = [line for feed in feeds.values() if (line := feed.notice())]
    require_whole(job.target, sum(segment.frames for segment in job.segments))
    return notices


@dataclass(slots=True)
class _Feed:
    """A side track, and how many of its packets found no way into the output."""

    track: Track
    lost: int = 0

    def convert(self, packet: "Packet[Any]", shift_s: Fraction) -> "Iterator[Packet[Any]]":
        """Yield the converted packet; a damaged one costs itself alone."""
        try:
            yield from self.track.convert(packet, shift_s)
        except (av.FFmpegError, ValueError) as error:
            self.lost += 1
            log.debug("track %d at %s: %s", self.track.source.index, packet.pts, error)

    def flush(self) -> "Iterator[Packet[Any]]":
        """Yield what the track holds back."""
        try:
            yield from self.track.flush()
        except (av.FFmpegError, ValueError) as error:
            self.lost += 1
            log.debug("track %d at its end: %s", self.track.source.index, error)

    def notice(self) -> str:
        """Return the line about what is lost, or nothing."""
        if not self.lost:
            return ""
        kind = "sound" if self.track.source.type == "audio" else self.track.source.type
        return f"{self.lost} damaged packets of {kind} track {self.track.source.index} left out"


def _mux(out: OutputContainer, packet: "Packet[Any]", feeds: dict[int, _Feed]) -> None:
    """Write a packet. One of sound or subtitles that the muxer calls invalid is left out and counted."""
    try:
        out.mux(packet)
    except av.FFmpegError as error:
        feed = next((feed for feed in feeds.values() if feed.track.target.index == packet.stream_index), None)
        if feed is None or error.errno != errno.EINVAL:
            raise
        feed.lost += 1
        log.debug("track %d at %s is refused: %s", feed.track.source.index, packet.pts, error)


def _muxing(job: Join, source: InputContainer) -> dict[str, str]:
    return {} if job.container in NO_EDIT_LISTS else {"movflags": mov_flags(copied_tags(source))}


def _timeline(job: Join, origin: Origin) -> _Timeline:
    time_base = origin.info.time_base
    first_s = job.segments[0].first_pts * time_base
    end_s = None if job.complete else job.segments[-1].last_pts * time_base + _step(origin) * time_base
    if job.cut_start:
        return _Timeline(first_s, first_s, end_s)
    shift_s = origin.clock_start_s if origin.clock_start_s else min(first_s, Fraction(0))
    # Rounded to a tick of the pictures, so that these move by whole ticks.
    return _Timeline(round(shift_s / time_base) * time_base, None, end_s)


def _step(origin: Origin) -> int:
    """Return a usual frame's length in ticks."""
    return max(1, round(1 / ((origin.info.rate or Fraction(25)) * origin.info.time_base)))


def _add_video(out: OutputContainer, job: Join, origin: Origin) -> VideoStream:
    with av.open(file_url(job.folder / job.segments[0].file)) as first:
        stream = out.add_stream_from_template(first.streams.video[0], opaque=True)
    stream.time_base = origin.info.time_base
    # The segment's own is its time base, which Matroska would write as 12800 frames a second.
    stream.codec_context.framerate = origin.info.rate or Fraction(25)
    if stream.codec_context.name == "hevc" and job.container not in NO_EDIT_LISTS:
        stream.codec_context.codec_tag = "hvc1"  # Apple's players know no other
    return stream


class _DecodingClock:
    """When each picture is to be decoded: at the pictures' own times, as many places ahead as the encoder reorders."""

    def __init__(self, first_pts: int, step: int, depth: int) -> None:
        self._first_pts = first_pts
        self._start = first_pts - depth * step
        self._stamps = deque(range(self._start, first_pts, step))

    def take(self, shown: Sequence[int]) -> list[int]:
        """Return the decoding times of the next pictures, given in decoding order with their presentation times."""
        self._stamps.extend(sorted(shown))
        return [self._stamps.popleft() for _ in shown]

    def last_length(self, end: int, decoded: int) -> int:
        """Return the length of the picture decoded last, so that all lengths add up to the end of the showing."""
        return max(1, (end - self._first_pts) - (decoded - self._start))


def _pictures(job: Join, origin: Origin, stream: VideoStream, shift: int) -> Iterator[_Timed]:
    """Yield the segments' packets in decoding order with the source's timestamps, and when each is to be decoded."""
    time_base = origin.info.time_base
    clock: _DecodingClock | None = None
    header: bytes | None = None
    for segment, after in zip(job.segments, (*job.segments[1:], None), strict=True):
        first_pts = segment.first_pts - shift
        with av.open(file_url(job.folder / segment.file)) as container:
            source = container.streams.video[0]
            if header not in (None, source.codec_context.extradata):
                raise OSError(f"{segment.file} was encoded otherwise than the segments before it")
            header = source.codec_context.extradata
            clock = clock or _DecodingClock(first_pts, _step(origin), source.codec_context.reorder_depth)
            packets = [packet for packet in container.demux(source) if packet.size]
        # Exact: the source's ticks are whole multiples of the segment's.
        shown = [first_pts + round((packet.pts or 0) * packet.time_base / time_base) for packet in packets]
        decoded = clock.take(shown)
        end = (after.first_pts if after else _end(job, origin, segment.last_pts)) - shift
        lengths = {this: then - this for this, then in pairwise([*sorted(shown), end])}
        if after is None:
            # MP4 knows only the sum of the lengths in decoding order.
            lengths[shown[-1]] = clock.last_length(end, decoded[-1])
        for packet, pts, dts in zip(packets, shown, decoded, strict=True):
            packet.pts, packet.dts, packet.duration, packet.time_base = pts, dts, lengths[pts], time_base
            packet.stream = stream
            yield dts * time_base, packet


def end_of(job: Join, origin: Origin) -> int:
    """Return where the last picture ends, in the source's ticks."""
    return _end(job, origin, job.segments[-1].last_pts)


def _end(job: Join, origin: Origin, last_pts: int) -> int:
    """Return where the last picture ends: as the source says, when the job went to its end."""
    if job.complete and origin.end_pts is not None and origin.end_pts > last_pts:
        return origin.end_pts
    return last_pts + _step(origin)


def _others(
    source: InputContainer, feeds: dict[int, _Feed], timeline: _Timeline, clock: SourceClock
) -> Iterator[_Timed]:
    """Yield the other tracks' packets as the output takes them; a source that breaks ends here too, with a warning."""
    if not feeds:
        return
    try:
        for packet in source.demux([feed.track.source for feed in feeds.values()]):
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is None or not packet.size or packet.is_corrupt:
                continue
            added_s = clock.added(packet)
            second = stamp * packet.time_base + added_s
            if timeline.start_s is not None and second < timeline.start_s:
                continue
            if timeline.end_s is not None and second >= timeline.end_s:
                continue
            yield from _timed(feeds[packet.stream.index].convert(packet, timeline.shift_s - added_s))
    except av.FFmpegError as error:
        log.warning("%s: sound and subtitles end where the file breaks (%s)", file_of(source.name), error.strerror)
    for feed in feeds.values():
        yield from _timed(feed.flush())


def _timed(packets: "Iterator[Packet[Any]]") -> Iterator[_Timed]:
    return (((packet.dts or 0) * packet.time_base, packet) for packet in packets)
