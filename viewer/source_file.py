"""What the output needs of the source file beside its pictures: shape of a pixel, clock, end, and the other tracks.

Read with FFmpeg here again, since sources live in another room; nothing of it is decoded.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
from av.video.stream import VideoStream

from pipeline.errors import UsageError
from pipeline.ffmpeg import file_url, picture_track
from pipeline.protocol.frame import StreamInfo

# FFmpeg's AVFMT_TS_DISCONT: broadcast formats, whose clock is a running one.
_CLOCK_STARTS_ANYWHERE = 0x0200


@dataclass(frozen=True, slots=True)
class Origin:
    """The source file, as its output's joiner sees it. Times are seconds on the file's own clock."""

    path: Path
    info: StreamInfo
    #: Width of a pixel by its height, as shown; None when square or unknown.
    aspect: Fraction | None
    #: Where the last picture ends, None where the file does not say.
    end_pts: int | None
    #: First moment of a clock that starts anywhere (MPEG-TS and its kin), else 0.
    clock_start_s: Fraction

    @classmethod
    def read(cls, path: Path, info: StreamInfo) -> "Origin":
        """Read the file's header. Raises `UsageError`."""
        try:
            with av.open(file_url(path), metadata_errors="replace") as container:
                stream = picture_track(container.streams.video)
                if stream is None:
                    raise UsageError(f"{path}: has no video track")
                # ASF has one length for the whole file, and FFmpeg says it of each track.
                has_own_length = stream.duration and container.format.name != "asf"
                stated = (stream.start_time or 0) + (stream.duration or 0) if has_own_length else None
                end = max((end for end in (stated, info.end_pts) if end is not None), default=None)
                free_clock = container.format.flags & _CLOCK_STARTS_ANYWHERE
                start = Fraction(container.start_time or 0, av.time_base) if free_clock else Fraction(0)
                return cls(path, info, _aspect(stream, info), end, start)
        except av.FFmpegError as error:
            raise UsageError(f"{path}: not a playable video ({error.strerror})") from error


def _aspect(stream: VideoStream, info: StreamInfo) -> Fraction | None:
    aspect = stream.sample_aspect_ratio
    if not aspect or aspect == 1:
        return None
    turned = (info.width, info.height) != (stream.width, stream.height)
    return 1 / aspect if turned else aspect
