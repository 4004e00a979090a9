"""One closed segment of a film: BGR frames in, a file with an encoder of its own out.

Invariant: a segment depends on its own frames and settings alone, so a resumed job writes what an undisturbed one
would have. Timestamps in it count from its own first frame; the manifest keeps where that was.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # isort: skip
import av
import numpy as np
from av.packet import Packet
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.ffmpeg import SCALING, file_url
from pipeline.protocol import colour
from pipeline.protocol.frame import StreamInfo
from viewer.encoders import Encoder

#: FFmpeg's BGR is full range.
_BGR_RANGE = colour.FULL


class SegmentWriter:
    """Encodes frames into one file. Raises OSError or `av.FFmpegError`; the file is whole only after `finish`."""

    def __init__(self, path: Path, info: StreamInfo, aspect: Fraction | None, encoder: Encoder) -> None:
        """Open the file. `aspect`: the shape of a pixel, None when square or unknown."""
        self.path, self._info = path, info
        self.first_pts = self.last_pts = 0
        self.frames = 0
        self._encoder, self._muxed = encoder, 0
        self._reformatter = VideoReformatter()
        self._size = encoder.padded(info.width, info.height)
        self._container = av.open(file_url(path), "w", format=encoder.segment_format)
        self._stream = encoder.add_to(self._container, info.rate or Fraction(25), self._size)
        self._stream.codec_context.time_base = self._stream.time_base = info.time_base
        configure_colours(self._stream, info, aspect)

    def write(self, pts: int, pixels: NDArray[np.uint8]) -> None:
        """Encode one frame of the stream's size, later than the one before it."""
        if not self.frames:
            self.first_pts = pts
        info = self._info
        picture = to_picture(self._reformatter, pixels, info, self._stream.pix_fmt or "", self._size)
        picture.pts, picture.time_base = pts - self.first_pts, info.time_base
        self._mux(self._stream.encode(picture))
        self.frames += 1
        self.last_pts = pts

    def finish(self) -> None:
        """Close the file and check that all of it reached the disk."""
        self._mux(self._stream.encode(None))
        self._container.close()
        require_whole(self.path, self.frames)

    def _mux(self, packets: "Sequence[Packet[VideoStream]]") -> None:
        self._container.mux(self._encoder.stamped(packets, self._muxed))
        self._muxed += len(packets)

    def abandon(self) -> None:
        """Close without regard for what is written, and remove it."""
        with suppress(av.FFmpegError, OSError):
            self._container.close()
        self.path.unlink(missing_ok=True)


def configure_colours(stream: VideoStream, info: StreamInfo, aspect: Fraction | None) -> None:
    """Tag a stream that is to be encoded with the source's shape of a pixel and colours."""
    context, tags = stream.codec_context, info.colour
    if aspect is not None:
        context.sample_aspect_ratio = aspect
    # RGB has neither matrix nor limited range, and says so by itself.
    is_rgb = (stream.pix_fmt or "").startswith(("bgr", "gbr", "rgb"))
    if tags.colorspace is not None and not is_rgb:
        context.colorspace = tags.colorspace
    if tags.primaries is not None:
        context.color_primaries = tags.primaries
    if tags.transfer is not None:
        context.color_trc = tags.transfer
    if tags.range is not None and not is_rgb:
        context.color_range = tags.range


def to_picture(
    reformatter: VideoReformatter, pixels: NDArray[np.uint8], info: StreamInfo, pix_fmt: str, size: tuple[int, int]
) -> av.VideoFrame:
    """Return H×W×3 uint8 BGR pixels in `pix_fmt`, by the source's matrix and range; edges repeated up to `size`."""
    right, below = size[0] - info.width, size[1] - info.height
    if right or below:
        pixels = np.asarray(cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
    return reformatter.reformat(
        av.VideoFrame.from_ndarray(pixels, format="bgr24"),
        format=pix_fmt,
        interpolation=SCALING,
        threads=1,
        src_color_range=_BGR_RANGE,
        dst_colorspace=colour.matrix(info.colour, info.width, info.height),
        dst_color_range=colour.sample_range(info.colour),
    )


def require_whole(path: Path, frames: int) -> None:
    """Raise OSError unless the file, now on disk, holds `frames` pictures: as an MP4's index says, elsewhere counted.

    FFmpeg reports a full disk late or, when the file is closed, not at all.
    """
    with path.open("rb") as file:
        os.fsync(file.fileno())
    try:
        with av.open(file_url(path)) as container:
            video = container.streams.video[0]
            if "mp4" in container.format.name:
                # Within `with`: an entry points into the open container's memory.
                ends = [entry.pos + entry.size for entry in video.index_entries]
            else:
                ends = [(packet.pos or 0) + packet.size for packet in container.demux(video) if packet.size]
    except (av.FFmpegError, IndexError) as error:
        raise OSError(f"{path.name} was not written whole; is the disk full?") from error
    if len(ends) != frames or max(ends, default=0) > path.stat().st_size:
        raise OSError(f"{path.name} was not written whole; is the disk full?")
