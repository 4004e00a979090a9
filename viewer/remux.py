"""From closed segments and the source's other tracks to one file, by packet copy: no picture is encoded twice.

Invariant: pictures keep their timestamps and sound its distance to them. Everything is moved together only where the
source's clock starts anywhere (MPEG-TS), before 0, or at a cut.
"""

import heapq
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from pipeline.ffmpeg import file_url
from viewer.metadata import copied_tags, copy_chapters, mov_flags
from viewer.segment_writer import require_whole
from viewer.segments import Segment
from viewer.side_tracks import SideTracks, Timed, Timeline
from viewer.source_clock import SourceClock
from viewer.source_file import Origin
from viewer.track_plan import TrackPlan
from viewer.tracks import NO_EDIT_LISTS

log = logging.getLogger(__name__)


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
        tracks = SideTracks(source, out, job.plan, timeline, SourceClock(origin.path, step_of(origin) * time_base))
        out.start_encoding()  # from here on each track knows its time base
        pictures = _pictures(job, origin, video, round(timeline.shift_s / time_base))
        # Both in the order of decoding, so that the muxer holds nothing back.
        merged: Iterator[Timed] = heapq.merge(pictures, tracks.packets(), key=lambda item: item[0])
        for _, packet in merged:
            tracks.mux(packet)
        # Here: a stream asked for its number once its file is closed ends the process.
        notices = tracks.notices()
    require_whole(job.target, sum(segment.frames for segment in job.segments))
    return notices


def _muxing(job: Join, source: InputContainer) -> dict[str, str]:
    return {} if job.container in NO_EDIT_LISTS else {"movflags": mov_flags(copied_tags(source))}


def _timeline(job: Join, origin: Origin) -> Timeline:
    end = None if job.complete else job.segments[-1].last_pts + step_of(origin)
    return timeline_of(origin, job.segments[0].first_pts, end, cut_start=job.cut_start)


def timeline_of(origin: Origin, first_pts: int, end: int | None, *, cut_start: bool) -> Timeline:
    """Return how the film from picture `first_pts` to `end` (None: the source's end) lies on the output's clock."""
    time_base = origin.info.time_base
    first_s, end_s = first_pts * time_base, None if end is None else end * time_base
    if cut_start:
        return Timeline(first_s, first_s, end_s)
    shift_s = origin.clock_start_s if origin.clock_start_s else min(first_s, Fraction(0))
    # Rounded to a tick of the pictures, so that these move by whole ticks.
    return Timeline(round(shift_s / time_base) * time_base, None, end_s)


def step_of(origin: Origin) -> int:
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
        self._first_pts, self._ahead = first_pts, depth * step
        self._start = first_pts - self._ahead
        self._stamps = deque(range(self._start, first_pts, step))
        self._taken: list[int] = []  # the last segment's, and the one before them

    def take(self, shown: Sequence[int]) -> list[int]:
        """Return the decoding times of the next pictures, given in decoding order with their presentation times."""
        self._stamps.extend(sorted(shown))
        self._taken += [self._stamps.popleft() for _ in shown]
        del self._taken[: -len(shown) - 1]
        return self._taken[-len(shown) :]

    def end(self, shown: Sequence[int], decoded: list[int], end: int) -> int:
        """Return the length of the picture decoded last, so that all lengths add up to the end of the showing.

        MP4 knows only their sum, and older FFmpegs only the last picture's own. Both are true where the one shown last
        is decoded as far ahead as the first; `decoded` is changed to that where it leaves the order as it is.
        """
        before = self._taken[-2] if len(self._taken) > 1 else self._start - 1
        if shown[-1] == max(shown) and shown[-1] - self._ahead > before:
            decoded[-1] = shown[-1] - self._ahead
        return max(1, (end - self._first_pts) - (decoded[-1] - self._start))


def _pictures(job: Join, origin: Origin, stream: VideoStream, shift: int) -> Iterator[Timed]:
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
            depth = source.codec_context.reorder_depth
            packets = [packet for packet in container.demux(source) if packet.size]
        # Exact: the source's ticks are whole multiples of the segment's.
        shown = [first_pts + round((packet.pts or 0) * packet.time_base / time_base) for packet in packets]
        gaps = (then - this for this, then in pairwise(sorted(shown)))
        clock = clock or _DecodingClock(first_pts, min([step_of(origin), *gaps]), depth)
        decoded = clock.take(shown)
        end = (after.first_pts if after else _end(job, origin, segment.last_pts)) - shift
        lengths = {this: then - this for this, then in pairwise([*sorted(shown), end])}
        if after is None:
            lengths[shown[-1]] = clock.end(shown, decoded, end)
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
    return last_pts + step_of(origin)
