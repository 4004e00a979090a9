"""What source and sink share of FFmpeg: names of files, choice of the picture track, flags for scaling.

Invariant: a path reaches FFmpeg only through `file_url`. FFmpeg takes a bare name for a URL: `Movie: part 2.mp4`
would ask for a protocol called "Movie", and `http:x.mp4` for the network.
"""

from collections.abc import Iterable
from pathlib import Path

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
from av.stream import Disposition
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

#: BGR and back to YUV 4:2:0, bigbuckbunny 1280×720, 2 cores, 2026-11: luma 77.3 dB at 4.9 ms a frame with these flags,
#: 43.6 dB at 1.5 ms with bilinear alone, whose rounding would be seen in flat skies.
SCALING = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT

_PROTOCOL = "file:"


def file_url(path: Path | str) -> str:
    """Return the name under which FFmpeg opens a local file, whatever characters its path holds."""
    return f"{_PROTOCOL}{path}"


def file_of(url: str) -> str:
    """Return the path in a name that `file_url` made, for a message."""
    return url.removeprefix(_PROTOCOL)


def picture_track(streams: Iterable[VideoStream]) -> VideoStream | None:
    """Return the first video track that is not a cover picture, None where there is none."""
    return next((stream for stream in streams if not stream.disposition & Disposition.attached_pic), None)
