"""What a video container says and holds: opening, decoding to a break, times of pictures, length.

Invariant: `decode_frames` gives every picture that can be decoded before it says, once, that the file broke.
"""

from bisect import insort
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Protocol

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.errors import UsageError
from pipeline.ffmpeg import file_url, picture_track

# Two decoder threads: decoding is far quicker than any painting, and the cores are for painting.
_DECODER_THREADS = 2
# Containers whose header gives the length; elsewhere FFmpeg guesses it from what is there, so it proves nothing.
_STATES_LENGTH = frozenset({"matroska,webm", "avi", "asf"})
# A file shorter than its header says by more than this is truncated; tracks often end some packets early.
_LENGTH_SLACK_S = Fraction(1, 2)
# Its index is made by seeking, with times of its own.
_GUESSED_INDEX = "asf"
# AVI: `_DecodingClock` says why.
_WITHOUT_PTS = frozenset({"avi"})
# Formats that are sought in at once, by an index of keyframes.
_WITH_INDEX = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
# A second broadcast in a file begins so many pictures at most behind the one that is called corrupt for it.
_JOINT_PACKETS = 3
# Behind the end of any file, in ticks of any time base.
_FAR_TICKS = 1 << 60
# FFmpeg's AVFMT_TS_DISCONT: broadcast formats, whose clock may start anew.
_CLOCK_STARTS_ANYWHERE = 0x0200
# Frames a decoder may hold back for reordering: the most any codec here allows (H.264 and HEVC: 16).
_MAX_REORDER = 16


class BrokenRead(Exception):
    """A file ended early, or `count` of its packets are damaged. `at_pts`: where that begins, None where unknown."""

    def __init__(self, reason: str, at_pts: int | None = None, *, ends_early: bool = False) -> None:
        super().__init__(reason, at_pts)
        self.reason, self.at_pts, self.ends_early, self.count = reason, at_pts, ends_early, 1

    def again(self) -> "BrokenRead":
        """Count one more damaged packet."""
        self.count += 1
        return self

    def __str__(self) -> str:
        return self.reason if self.count == 1 else f"{self.reason}, and at {self.count - 1} places more"


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and its first real video track. Raises `UsageError` in one line for what is not a video."""
    try:
        container = av.open(file_url(path), metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise UsageError(f"{path}: not a playable video ({_reason(error)})") from error
    with container:
        stream = picture_track(container.streams.video)
        if stream is None:
            raise UsageError(f"{path}: has no video track")
        if stream.codec_context is None:
            raise UsageError(f"{path}: no decoder for its video track")
        stream.thread_count = _DECODER_THREADS
        stream.thread_type = "AUTO"
        yield container, stream


def decode_frames(container: InputContainer, stream: VideoStream) -> Iterator[tuple[int | None, VideoFrame]]:
    """Decode from where the container stands to its end: (pts, None where nothing says it; picture).

    Raises `BrokenRead` after the last picture of a file that is damaged or ends early.
    """
    broken: BrokenRead | None = None
    last_stamp: int | None = None
    end_s = Fraction(0)
    clock = _DecodingClock() if container.format.name in _WITHOUT_PTS else _OwnClock()
    try:
        for packet, is_damaged in _judged(container.demux(), stream):
            end_s = max(end_s, _end_s(packet))
            if packet.stream is not stream:
                continue
            if packet.size:
                stamps = (last_stamp, packet.dts, packet.pts)
                last_stamp = max((stamp for stamp in stamps if stamp is not None), default=None)
            pictures, reason = _decoded(packet, clock, is_damaged)
            yield from ((clock.stamp(picture), picture) for picture in pictures)
            if reason:
                broken = broken.again() if broken else BrokenRead(reason, packet.pts)
    except av.FFmpegError as error:
        # What the decoder holds back was read before the error.
        yield from ((clock.stamp(picture), picture) for picture in _held_back(stream))
        broken = BrokenRead(_reason(error), last_stamp, ends_early=True)
    if not (broken and broken.ends_early) and _ends_early(container, stream, last_stamp, end_s):
        broken = BrokenRead("the file ends too early", broken.at_pts if broken else last_stamp, ends_early=True)
    if broken is not None:
        raise broken


def _judged(packets: "Iterator[Packet[Stream]]", stream: VideoStream) -> "Iterator[tuple[Packet[Stream], bool]]":
    """Yield each packet, and whether it is damaged.

    Where a second broadcast begins in the same file, the counter of its packets does not go on, and FFmpeg calls one
    of the last pictures before it corrupt, though all are whole. The time that falls back soon after tells.
    """
    waiting: deque[Packet[Stream]] = deque()
    for packet in packets:
        if packet.stream is not stream or not (waiting or packet.is_corrupt):
            yield packet, False
            continue
        if waiting and _falls_back(waiting[-1], packet):
            yield from ((whole, False) for whole in waiting)
            waiting.clear()
            yield packet, packet.is_corrupt
            continue
        waiting.append(packet)
        while len(waiting) > _JOINT_PACKETS or (waiting and not waiting[0].is_corrupt):
            first = waiting.popleft()
            yield first, first.is_corrupt
    yield from ((packet, packet.is_corrupt) for packet in waiting)


def _falls_back(before: "Packet[Stream]", packet: "Packet[Stream]") -> bool:
    return before.dts is not None and packet.dts is not None and packet.dts < before.dts


def _decoded(packet: "Packet[Stream]", clock: "_Clock", is_damaged: bool) -> tuple[list[VideoFrame], str]:
    """Return a packet's pictures, and what was wrong with it."""
    # A damaged packet decodes to grey mush, which is not the file's picture.
    if is_damaged:
        return [], "damaged data"
    if packet.size:
        clock.feed(packet)
    try:
        return [picture for picture in packet.decode() if isinstance(picture, VideoFrame)], ""
    except av.FFmpegError as error:
        clock.lose(packet)
        return [], _reason(error)


def _held_back(stream: VideoStream) -> list[VideoFrame]:
    try:
        return stream.codec_context.decode(None)
    except av.FFmpegError:
        return []


class _Clock(Protocol):
    """When decoded pictures are shown."""

    def feed(self, packet: "Packet[Stream]") -> None: ...

    def lose(self, packet: "Packet[Stream]") -> None: ...

    def stamp(self, picture: VideoFrame) -> int | None: ...


class _OwnClock:
    """Pictures say themselves when they are shown."""

    def feed(self, packet: "Packet[Stream]") -> None:
        """Packets say nothing more."""

    def lose(self, packet: "Packet[Stream]") -> None:
        """Packets say nothing more."""

    def stamp(self, picture: VideoFrame) -> int | None:
        return picture.pts if picture.pts is not None else picture.dts


class _DecodingClock:
    """AVI holds no presentation times: the n-th picture shown takes the n-th smallest decoding time.

    What FFmpeg makes up instead is a decoder's delay too late and, with B-frames, out of order.
    """

    def __init__(self) -> None:
        self._waiting: list[int] = []

    def feed(self, packet: "Packet[Stream]") -> None:
        if packet.dts is not None:
            insort(self._waiting, packet.dts)

    def lose(self, packet: "Packet[Stream]") -> None:
        if packet.dts in self._waiting:
            self._waiting.remove(packet.dts)

    def stamp(self, picture: VideoFrame) -> int | None:
        return self._waiting.pop(0) if self._waiting else None


def last_end(path: Path) -> int | None:
    """Return where the last picture ends by its own duration, in ticks; None where only its header could tell.

    A header counts the lengths in decoding order: where the last pictures stand long, it falls short.
    """
    with open_video(path) as (container, stream):
        if container.format.name not in _WITH_INDEX:
            return None
        try:
            container.seek(_FAR_TICKS, stream=stream, backward=True)
            timed = (packet for packet in container.demux(stream) if packet.pts is not None and packet.duration)
            ends = [(packet.pts or 0) + (packet.duration or 0) for packet in timed]
        except av.FFmpegError:
            return None
    return max(ends, default=None)


def has_steady_clock(path: Path, until_pts: int) -> bool:
    """Say whether up to `until_pts` a time names one picture: not in AVI, nor where a broadcast's clock falls back."""
    with open_video(path) as (container, stream):
        if container.format.name in _WITHOUT_PTS:
            return False
        if not container.format.flags & _CLOCK_STARTS_ANYWHERE:
            return True
        stamps = (packet.dts for packet in container.demux(stream) if packet.dts is not None)
        try:
            return all(one <= other for one, other in pairwise(takewhile(lambda at: at <= until_pts, stamps)))
        except av.FFmpegError:
            return False


def length(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Return the video's length in seconds as its header says or FFmpeg estimates, None where neither does."""
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return Fraction(container.duration, av.time_base) if container.duration else None


def _ends_early(container: InputContainer, stream: VideoStream, last_stamp: int | None, end_s: Fraction) -> bool:
    """Say whether the index or the header promises more than was there."""
    entries = stream.index_entries[-_MAX_REORDER:] if container.format.name != _GUESSED_INDEX else []
    stamps = [entry.timestamp for entry in entries if entry.size]
    if stamps and (last_stamp is None or max(stamps) > last_stamp):
        return True
    stated = container.duration if container.format.name in _STATES_LENGTH else None
    return stated is not None and end_s < Fraction(stated, av.time_base) - _LENGTH_SLACK_S


def _end_s(packet: "Packet[Stream]") -> Fraction:
    stamp = packet.pts if packet.pts is not None else packet.dts
    return Fraction(0) if stamp is None else (stamp + (packet.duration or 0)) * packet.time_base


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
