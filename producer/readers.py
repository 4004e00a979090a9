"""The live sources a picture can be read from: a camera, a video file, a network stream.

Invariant: opening says in one line what is wrong (`UsageError`); a read ends by its own deadline, whatever the other
side does.
"""

import logging
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # isort: skip
import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.errors import SourceError, SourceOver, UsageError
from pipeline.protocol.frame import Frame
from pipeline.server.connection import without_password
from producer.capture import Picture
from producer.pixels import PixelReader, colour_tags
from producer.source import open_source

log = logging.getLogger(__name__)

# What a network camera may take to answer, and to send its next packet, before the connection counts as broken.
_OPEN_S, _READ_S = 5.0, 5.0
_SCHEMES = frozenset({"http", "https", "rtsp", "rtsps"})
# Joining a stream in the middle gives some pictures that cannot be decoded; so many in a row are no stream.
_MAX_UNDECODABLE = 250
_NETWORK_OPTIONS = {
    # UDP loses packets, and what is lost shows for seconds; cameras speak both.
    "rtsp_transport": "tcp",
    # FFmpeg looks at a stream for five seconds before it shows any of it. What it has read by then is decoded at once;
    # thrown away (`nobuffer`), the first keyframe would go with it: 15 of 40 frames came, 37 with it kept.
    "flags": "low_delay",
    "analyzeduration": "1000000",
}


class Device(Protocol):
    """The part of `cv2.VideoCapture` a camera needs."""

    def isOpened(self) -> bool: ...  # noqa: N802 – OpenCV's name
    def set(self, propId: int, value: float) -> bool: ...  # noqa: N803 – OpenCV's name
    def read(self) -> tuple[bool, Any]: ...
    def release(self) -> None: ...


class CameraReader:
    """A camera through OpenCV."""

    def __init__(
        self, number: int, size: tuple[int, int] | None = None, *, device: Callable[[int], Device] | None = None
    ) -> None:
        """Open camera `number` and have a first picture. Raises `UsageError` naming the cameras there are."""
        self._number = number
        self._device = (device or _open_device)(number)
        for name, value in _wishes(size):
            self._device.set(name, value)
        # Some nodes of a camera open and never give a picture.
        if not (self._device.isOpened() and self._device.read()[0]):
            self._device.release()
            raise UsageError(f"camera {number} cannot be opened; {_cameras()}")

    def read(self) -> Picture:
        """Return the next picture. Raises `SourceError` when there is none: OpenCV waits up to ten seconds."""
        done, pixels = self._device.read()
        if not done:
            raise SourceError(f"camera {self._number} gives no pictures")
        return Picture(pixels)

    def close(self) -> None:
        """Free the camera."""
        self._device.release()


class FileReader:
    """A video file at its own pace; looped, its clock goes on where the last round ended."""

    def __init__(self, path: Path, *, loop: bool, max_pixels: int) -> None:
        """Open the file. Raises `UsageError`."""
        self._source = open_source(path, max_pixels=max_pixels)
        self._loop = loop
        self._frames: Iterator[Frame] = self._source.frames()
        self._start_s = self._last_s = Fraction(0)
        self._first_pts: int | None = None
        self._broken = ""

    def read(self) -> Picture | None:
        """Return the next picture, None at the end.

        Raises `SourceOver` at the end of a file that is damaged or ends early: read again, it would break again.
        """
        frame = self._next()
        if frame is None and self._loop:
            self._start_s = self._last_s + 1 / (self._source.info.rate or Fraction(25))
            self._frames = self._source.frames()
            frame = self._next()
        if frame is None:
            if self._broken:
                raise SourceOver(self._broken)
            return None
        if self._first_pts is None:
            self._first_pts = frame.pts
        self._last_s = self._start_s + (frame.pts - self._first_pts) * self._source.info.time_base
        return Picture(frame.pixels, float(self._last_s))

    def _next(self) -> Frame | None:
        """Return the next frame, None where the file ends or breaks."""
        try:
            return next(self._frames, None)
        except SourceError as error:
            if not self._broken:
                log.warning("%s", error)
            self._broken = str(error)
            return None

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()


class UrlReader:
    """A network stream: RTSP, or whatever FFmpeg reads over HTTP (MJPEG, HLS, a file, which keeps its own pace)."""

    def __init__(self, url: str, *, max_pixels: int) -> None:
        """Connect. Raises `UsageError` for what is no address, does not answer or is no video."""
        self._label = without_password(url)
        require_url(url)
        try:
            self._container = av.open(url, timeout=(_OPEN_S, _READ_S), options=dict(_NETWORK_OPTIONS))
        except (av.FFmpegError, OSError) as error:
            raise UsageError(f"{self._label}: {_reason(error, 'does not answer')}") from error
        try:
            stream = _video_of(self._container, self._label)
            if stream.codec_context.width * stream.codec_context.height > max_pixels:
                raise UsageError(f"{self._label}: larger than the {max_pixels} pixels allowed")
        except UsageError:
            self._container.close()
            raise
        self._pictures = _decoded(self._container, stream)
        self._context = stream.codec_context
        self._reader: PixelReader | None = None
        self._is_file = self._container.duration is not None

    def read(self) -> Picture | None:
        """Return the next picture; None at the end of a file. Raises `SourceError` when the stream breaks."""
        try:
            picture = next(self._pictures, None)
        except (av.FFmpegError, OSError) as error:
            raise SourceError(f"{self._label}: {_reason(error, 'sends nothing')}") from error
        if picture is not None:
            if self._reader is None:
                self._reader = PixelReader(colour_tags(self._context, picture))
            return Picture(self._reader.read(picture), picture.time if self._is_file else None)
        if self._is_file:
            return None
        raise SourceError(f"{self._label}: the stream ended")

    def close(self) -> None:
        """Close the connection."""
        self._container.close()


def require_url(url: str) -> None:
    """Raise `UsageError` unless `url` is an address a stream can be read from."""
    try:
        parts = urlsplit(url)
        named = parts.scheme.lower() in _SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        named = False
    if not named:
        raise UsageError(f"{url}: not an address such as rtsp://camera/stream or http://camera/video.mjpg")


def _video_of(container: InputContainer, label: str) -> VideoStream:
    for stream in container.streams.video:
        # Frame threads would hold back a picture each.
        stream.thread_type = "SLICE"
        return stream
    raise UsageError(f"{label}: has no video")


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    undecodable = 0
    for packet in container.demux(stream):
        try:
            pictures = packet.decode()
            undecodable = 0
        except av.FFmpegError:
            undecodable += 1
            if undecodable > _MAX_UNDECODABLE:
                raise
            continue
        yield from (picture for picture in pictures if isinstance(picture, VideoFrame))


def _reason(error: Exception, timed_out: str) -> str:
    if isinstance(error, av.ExitError):  # our deadline
        return timed_out
    return (getattr(error, "strerror", None) or str(error)).lower()


def _open_device(number: int) -> Device:
    # What it would print is said in our own line.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    # Asked without a name, OpenCV tries every backend it has, and each complains in its own way.
    return cv2.VideoCapture(number, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)


def _wishes(size: tuple[int, int] | None) -> Iterator[tuple[int, float]]:
    """Yield OpenCV's properties in the order that works: the pixel format decides which sizes and rates there are."""
    # Uncompressed, USB 2 carries 640×480 at 30 FPS and hardly more.
    yield cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")
    if size is not None:
        yield cv2.CAP_PROP_FRAME_WIDTH, size[0]
        yield cv2.CAP_PROP_FRAME_HEIGHT, size[1]
    # Every buffered picture is one of delay.
    yield cv2.CAP_PROP_BUFFERSIZE, 1


def _cameras() -> str:
    found = sorted(int(path.name[5:]) for path in Path("/dev").glob("video*") if path.name[5:].isdigit())
    return f"there are {', '.join(map(str, found))}" if found else "there is no camera on this machine"
