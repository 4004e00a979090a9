"""A video file as a source: every decodable frame once, in order, upright, with its own timestamp.

Invariant: frame `n` is the same picture with the same pts whether reading began at 0 or was resumed at `n`.
A file that breaks first gives all it holds, then says at which second it broke.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import dropwhile, islice
from pathlib import Path

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.errors import SourceError, UsageError
from pipeline.protocol.frame import Frame, Landmark, StreamInfo
from producer.demux import BrokenRead, decode_frames, last_end, length, open_video
from producer.pixels import PixelReader, colour_tags
from producer.seeking import Seeker, Timed
from producer.tonemap import SDR_TAGS, is_hdr

# Pictures a second that any camera takes for a film to be played; above, it is a time base.
_MOST_RATE = 1000

# Above this a rate is a container's clock, such as Matroska's thousandths, and tells no number of frames.
_FASTEST = 300
# What a packet takes at least: a file of a megabyte does not hold 107 million of them, whatever its header says.
_LEAST_FRAME_BYTES = 8


class VideoSource:
    """The frames of one video file in presentation order, as upright H×W×3 BGR."""

    def __init__(
        self, path: Path, *, start_s: float | None = None, end_s: float | None = None, max_pixels: int = 1 << 26
    ) -> None:
        """Open the file and decode its first frame. Raises `UsageError` for what is not a video to paint."""
        self.path = path
        self._closed = False
        with open_video(path) as (container, stream):
            width, height = stream.codec_context.width, stream.codec_context.height
            if width * height > max_pixels:
                raise UsageError(f"{path}: {width}×{height} is more than the {max_pixels} pixels allowed")
            first_pts, first = _first_frame(path, container, stream)
            self._time_base = stream.time_base or Fraction(1, 1000)
            self._rate = _rate(stream)
            self._first_pts = first_pts or 0
            self._low = self._ticks(start_s) if start_s else None
            self._high = self._ticks(end_s) if end_s is not None else None
            self._tags = colour_tags(stream.codec_context, first)
            self._size = (first.width, first.height)
            self.info = self._describe(first, self._count(container, stream))

    def frames(self, start: int = 0, landmark: Landmark | None = None) -> Iterator[Frame]:
        """Yield frames from number `start` on. Raises `SourceError` after the last good one of a broken file.

        `landmark`: a frame from `start - 1` on, as an earlier reading gave it; the file is sought there. Without one
        frames are counted from the beginning, which is exact for any file and takes its decoding.
        """
        pictures = self._sought(start, landmark)
        if pictures is None:
            after_low = dropwhile(lambda item: self._low is not None and item[0] < self._low, self._pictures(None))
            pictures = islice(after_low, start, None)
        reader = PixelReader(self._tags, self._size)
        for seq, (pts, picture) in enumerate(pictures, start):
            yield Frame(seq, pts, reader.read(picture))

    def close(self) -> None:
        """End a running iteration at its next frame."""
        self._closed = True

    def _sought(self, start: int, landmark: Landmark | None) -> Iterator[Timed] | None:
        seeker = Seeker(self.path, self._pictures, self._time_base)
        if landmark is not None:
            return seeker.from_landmark(start, landmark, self._first_pts)
        if self._low is None:
            return None
        pictures = seeker.from_time(self._low, self._first_pts)
        return islice(pictures, start, None) if pictures is not None else None

    def _pictures(self, seek: int | None) -> Iterator[Timed]:
        """Yield (pts, picture), pts rising; from the keyframe before `seek` on where it is given."""
        step = max(1, round(1 / (self._rate * self._time_base)))
        last: int | None = None
        try:
            with open_video(self.path) as (container, stream):
                if seek is not None:
                    container.seek(seek, stream=stream, backward=True)
                for pts, picture in decode_frames(container, stream):
                    if last is not None and (pts is None or pts <= last):
                        last += step  # raw streams, and clocks that jump back
                    else:
                        last = self._first_pts if pts is None else pts
                    if self._closed or (self._high is not None and last >= self._high):
                        return
                    yield last, picture
        except BrokenRead as error:
            at = error.at_pts if error.at_pts is not None else (self._first_pts if last is None else last + step)
            second = float((at - self._first_pts) * self._time_base)
            what = "broke" if error.ends_early else "is damaged"
            raise SourceError(f"{self.path.name} {what} at {max(0.0, second):.1f} s: {error}") from error

    def _ticks(self, second: float) -> int:
        return self._first_pts + round(Fraction(second) / self._time_base)

    def _describe(self, first: VideoFrame, frames: int | None) -> StreamInfo:
        height, width = first.height, first.width
        if PixelReader(self._tags).swaps_axes(first):
            height, width = width, height
        shown = SDR_TAGS if is_hdr(self._tags.transfer) else self._tags
        end_pts = last_end(self.path) if self._high is None else None
        return StreamInfo(width, height, self._time_base, rate=self._rate, frames=frames, end_pts=end_pts, colour=shown)

    def _count(self, container: InputContainer, stream: VideoStream) -> int | None:
        """Estimate the frames between start and end."""
        length_s = length(container, stream)
        if self._low is None and self._high is None:
            is_rate = self._rate <= _FASTEST
            return self._plausible(stream.frames or (length_s and is_rate and round(length_s * self._rate)) or 0)
        end = self._high if self._high is not None else length_s and self._ticks(float(length_s))
        if end is None:
            return None
        if length_s is not None:
            end = min(end, self._ticks(float(length_s)))
        count = round((end - (self._low or self._first_pts)) * self._time_base * self._rate)
        if count <= 0:
            raise UsageError(f"{self.path}: nothing lies between the start and the end asked for")
        return count

    def _plausible(self, frames: int) -> int | None:
        """Return a number of frames, None for one that the file has no room for."""
        try:
            size_bytes = self.path.stat().st_size
        except OSError:
            return frames or None
        return frames if 0 < frames * _LEAST_FRAME_BYTES <= size_bytes else None


def _first_frame(path: Path, container: InputContainer, stream: VideoStream) -> tuple[int | None, VideoFrame]:
    try:
        first = next(decode_frames(container, stream), None)
    except BrokenRead as error:
        raise UsageError(f"{path}: not one frame of it can be decoded ({error})") from error
    if first is None:
        raise UsageError(f"{path}: a video without a single frame")
    return first


def _rate(stream: VideoStream) -> Fraction:
    """Return the pictures a second. FFmpeg 8 calls raw PAL DV 60000 a second, one a tick of its clock."""
    rates = (stream.average_rate, stream.guessed_rate)
    return next((Fraction(rate) for rate in rates if rate and rate <= _MOST_RATE), Fraction(25))
