"""What a video container says and holds: opening, reading to a break, finding frames by number, which way is up.

Invariant: `packets` gives every picture that can be decoded before it says, once and at the end, that the file broke.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import Type
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.errors import UsageError
from pipeline.ffmpeg import file_url, picture_track

# Two decoder threads: decoding is far quicker than any painting, and the cores are for painting.
_DECODER_THREADS = 2
# Containers whose header gives the length; elsewhere FFmpeg guesses it from what is there, so it proves nothing.
_STATES_LENGTH = frozenset({"matroska,webm", "avi", "asf"})
# A file shorter than its header says by more than this is truncated; tracks often end some packets early.
_LENGTH_SLACK_S = Fraction(1, 2)
# Frames a decoder may hold back for reordering: the most any codec here allows (H.264 and HEVC: 16).
_MAX_REORDER = 16


class BrokenRead(Exception):
    """A file ended early or holds damaged packets. `at_pts`: the first one's pts, where known."""

    def __init__(self, reason: str, at_pts: int | None = None) -> None:
        super().__init__(reason, at_pts)
        self.reason, self.at_pts = reason, at_pts

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class DisplayMatrix:
    """How decoded rows and columns are to be shown: axes swapped first, then mirrored."""

    swaps_axes: bool
    mirrors_x: bool
    mirrors_y: bool


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


def packets(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decode from where the container stands to its end. Raises `BrokenRead` after a broken file's last picture."""
    broken: BrokenRead | None = None
    last_stamp: int | None = None
    end_s = Fraction(0)
    try:
        for packet in container.demux():
            end_s = max(end_s, _end_s(packet))
            if packet.stream is not stream:
                continue
            if packet.size:
                last_stamp = max(filter(None, (last_stamp, packet.dts, packet.pts)), default=last_stamp)
            try:
                # A damaged packet decodes to grey mush, which is not the file's picture.
                pictures = [] if packet.is_corrupt else packet.decode()
            except av.FFmpegError as error:
                broken = broken or BrokenRead(_reason(error), packet.pts)
                continue
            if packet.is_corrupt:
                broken = broken or BrokenRead("damaged data", packet.pts)
            yield from (picture for picture in pictures if isinstance(picture, VideoFrame))
    except av.FFmpegError as error:
        broken = broken or BrokenRead(_reason(error))
    if broken is None and _ends_early(container, stream, last_stamp, end_s):
        broken = BrokenRead("the file ends too early")
    if broken is not None:
        raise broken


def pts_at(path: Path, number: int, low: int | None) -> int | None:
    """Return the pts of frame `number`, counted from `low` on, or None where only decoding would tell.

    Reads packet headers only: a packet is a frame as long as all have their own pts and none is hidden or damaged.
    """
    found: list[int] = []
    with open_video(path) as (container, stream):
        first: int | None = None
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if first is None:
                first = packet.pts if packet.is_keyframe else None
            if first is None or packet.pts is None or packet.pts < first or packet.is_discard or packet.is_corrupt:
                return None
            if low is None or packet.pts >= low:
                found.append(packet.pts)
            if len(found) > number + 2 * _MAX_REORDER:
                break
    found.sort()
    if len(found) <= number or len(set(found)) != len(found):
        return None
    return found[number]


def length(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Return the video's length in seconds as its header says or FFmpeg estimates, None where neither does."""
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return Fraction(container.duration, av.time_base) if container.duration else None


def _display_matrix(picture: VideoFrame) -> DisplayMatrix | None:
    """Return how a decoded picture is to be turned, None for as it is. Angles between right ones are left alone."""
    # An item read, not `get`: PyAV finds side data by its type, not by its name.
    side_data = cast(Mapping[Any, Any], picture.side_data)
    if Type.DISPLAYMATRIX not in side_data:
        return None
    data = side_data[Type.DISPLAYMATRIX]
    # x' = a·x + c·y, y' = b·x + d·y, row by row (a, b, u, c, d, v, x, y, w) in 16.16 fixed point.
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5]
    if abs(int(b)) > abs(int(a)):
        return DisplayMatrix(True, bool(c < 0), bool(b < 0))
    return DisplayMatrix(False, bool(a < 0), bool(d < 0)) if a < 0 or d < 0 else None


class Orientation:
    """How the pictures of one stream are to be turned; read again when the angle changes.

    PyAV ties a picture that is asked for its side data into a reference cycle. Asked of each, they stayed until the
    garbage collector came by, hundreds at a time: `painter live --loop` grew by 200 MB in 25 minutes.
    """

    def __init__(self) -> None:
        self._angle: int | None = None
        self._matrix: DisplayMatrix | None = None

    def of(self, picture: VideoFrame) -> DisplayMatrix | None:
        """Return how this picture is to be turned, None for as it is."""
        if picture.rotation != self._angle:
            self._angle, self._matrix = picture.rotation, _display_matrix(picture)
        return self._matrix


def upright(pixels: NDArray[np.uint8], matrix: DisplayMatrix | None) -> NDArray[np.uint8]:
    """Return the pixels as they are to be shown, contiguous."""
    if matrix is None:
        return pixels
    turned = pixels.transpose(1, 0, 2) if matrix.swaps_axes else pixels
    turned = turned[:, ::-1] if matrix.mirrors_x else turned
    return np.ascontiguousarray(turned[::-1] if matrix.mirrors_y else turned)


def _ends_early(container: InputContainer, stream: VideoStream, last_stamp: int | None, end_s: Fraction) -> bool:
    """Say whether the index or the header promises more than was there."""
    stamps = [entry.timestamp for entry in stream.index_entries[-_MAX_REORDER:] if entry.size]
    if stamps and (last_stamp is None or max(stamps) > last_stamp):
        return True
    stated = container.duration if container.format.name in _STATES_LENGTH else None
    return stated is not None and end_s < Fraction(stated, av.time_base) - _LENGTH_SLACK_S


def _end_s(packet: "Packet[Stream]") -> Fraction:
    stamp = packet.pts if packet.pts is not None else packet.dts
    return Fraction(0) if stamp is None else (stamp + (packet.duration or 0)) * packet.time_base


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
