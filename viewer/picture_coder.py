"""One painted stream as a page with a thin line gets it: H.264 or VP8 without delay, or smaller JPEGs.

Each coder takes JPEGs as they came off the wire, one after the other, and belongs to one thread at a time. What it
returns for a picture is decodable at once: no B-frames, no look-ahead. A change of size starts anew with a key frame.
"""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Protocol

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # isort: skip
import av
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

from pipeline.errors import WireError
from pipeline.ffmpeg import SCALING

# Pixels of one picture; the largest that a page may be sent.
_MAX_PIXELS = 1 << 24
# How many bits may be early: a key frame is at most so large, which at 2 Mbit/s is a quarter of a second.
_BUFFER_BITS = 500_000
_TIME_BASE = Fraction(1, 1000)
# libvpx takes no other rate while it runs.
_VP8_RESTART = 1.5
_QUALITIES = (30, 85)


class PageCodec(StrEnum):
    """What a page is sent; the names are FFmpeg's."""

    H264 = "h264"
    VP8 = "vp8"
    MJPEG = "mjpeg"


@dataclass(frozen=True, slots=True)
class CodedPicture:
    """One coded picture of `width`×`height`; `codec` as WebCodecs names it, "jpeg" for one that stands alone."""

    codec: str
    width: int
    height: int
    is_key: bool
    data: bytes


class PictureCoder(Protocol):
    """Codes the pictures of one stream at one share of their size."""

    def code(self, jpeg: bytes, at_ms: int, rate_bps: float, *, key: bool) -> CodedPicture:
        """Code a picture shown at `at_ms`, which rises; `key`: so that it needs none before it. Raises `WireError`."""
        ...


def make_coder(codec: PageCodec, scale: Fraction, fps: float) -> PictureCoder:
    """Return a coder that makes pictures `scale` as wide and high, about `fps` of them a second."""
    return JpegCoder(scale, fps) if codec is PageCodec.MJPEG else VideoCoder(codec, scale, fps)


class _JpegDecoder:
    """JPEG → planes; FFmpeg's, since what the painters send is in the encoder's own format then (0.7 ms saved)."""

    def __init__(self, scale: Fraction) -> None:
        self._scale = scale
        self._context = av.CodecContext.create("mjpeg", "r")
        self._context.thread_count = 1
        self._context.options = {"max_pixels": str(_MAX_PIXELS)}
        self._reformatter = VideoReformatter()

    def decode(self, jpeg: bytes) -> av.VideoFrame:
        """Return the picture as yuvj420p of even size, scaled. Raises `WireError`."""
        if not jpeg:
            # To a decoder, the end of its stream.
            raise WireError("painted picture is empty")
        try:
            frames = self._context.decode(av.Packet(jpeg))
        except av.FFmpegError as error:
            raise WireError(f"painted picture does not decode: {error}") from error
        if not frames:
            raise WireError("painted picture does not decode")
        frame = frames[0]
        width, height = _even(frame.width * self._scale), _even(frame.height * self._scale)
        return self._reformatter.reformat(
            frame, width, height, "yuvj420p", interpolation=SCALING, threads=1, dst_color_range=2
        )


class VideoCoder:
    """H.264 by x264, VP8 by libvpx: constant rate, which follows `rate_bps` from picture to picture."""

    def __init__(self, codec: PageCodec, scale: Fraction, fps: float) -> None:
        self._codec, self._fps = codec, max(1, round(fps))
        self._decoder = _JpegDecoder(scale)
        self._context: av.VideoCodecContext | None = None
        self._opened_bps = 0.0
        self._name = codec.value
        self._at_ms = -1

    def code(self, jpeg: bytes, at_ms: int, rate_bps: float, *, key: bool) -> CodedPicture:
        """Code a picture."""
        frame = self._decoder.decode(jpeg)
        context = self._opened(frame.width, frame.height, rate_bps)
        self._at_ms = max(self._at_ms + 1, at_ms)
        frame.pts, frame.time_base = self._at_ms, _TIME_BASE
        frame.pict_type = PictureType.I if key else PictureType.NONE
        try:
            packets = context.encode(frame)
        except av.FFmpegError as error:
            self._context = None
            raise WireError(f"{self._codec} cannot code {frame.width}×{frame.height}: {error}") from error
        data = b"".join(bytes(packet) for packet in packets)
        is_key = any(packet.is_keyframe for packet in packets)
        if is_key and self._codec is PageCodec.H264:
            self._name = avc_name(data)
        return CodedPicture(self._name, frame.width, frame.height, is_key, data)

    def _opened(self, width: int, height: int, rate_bps: float) -> av.VideoCodecContext:
        context = self._context
        is_other = context is None or (context.width, context.height) != (width, height)
        if self._codec is PageCodec.VP8 and not is_other:
            is_other = not 1 / _VP8_RESTART < rate_bps / self._opened_bps < _VP8_RESTART
        if is_other or context is None:
            context = self._context = self._open(width, height, rate_bps)
            self._opened_bps = rate_bps
        elif self._codec is PageCodec.H264:
            # x264 follows at once, as long as it began with a buffer and `maxrate` at the rate.
            context.bit_rate = round(rate_bps)
        return context

    def _open(self, width: int, height: int, rate_bps: float) -> av.VideoCodecContext:
        name = {PageCodec.H264: "libx264", PageCodec.VP8: "libvpx"}[self._codec]
        context = av.CodecContext.create(name, "w")
        assert isinstance(context, av.VideoCodecContext), "a video encoder"
        context.width, context.height = width, height
        context.pix_fmt = "yuvj420p" if self._codec is PageCodec.H264 else "yuv420p"
        context.time_base, context.framerate = _TIME_BASE, Fraction(self._fps)
        context.bit_rate, context.thread_count = round(rate_bps), 1
        # JFIF's colours are BT.601 in full range: said in the stream, or a browser guesses.
        context.colorspace, context.color_range = 5, 2
        bounds = {"maxrate": str(round(rate_bps)), "bufsize": str(_BUFFER_BITS), "g": "1000000"}
        if self._codec is PageCodec.H264:
            context.options = {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1", **bounds}
        else:
            context.options = {
                "deadline": "realtime",
                "cpu-used": "8",
                "lag-in-frames": "0",
                # A key frame is at most six pictures' worth.
                "max-intra-rate": "600",
                **bounds,
            }
        return context


class JpegCoder:
    """Smaller JPEGs whose quality follows the rate."""

    def __init__(self, scale: Fraction, fps: float) -> None:
        self._scale, self._fps = scale, max(1.0, fps)
        self._quality = 70.0

    def code(self, jpeg: bytes, at_ms: int, rate_bps: float, *, key: bool) -> CodedPicture:
        """Code a picture; the next one's quality follows from this one's size."""
        del at_ms, key
        reduced = cv2.IMREAD_REDUCED_COLOR_2 if self._scale <= Fraction(1, 2) else cv2.IMREAD_COLOR
        buffer = np.frombuffer(jpeg, np.uint8)
        pixels = cv2.imdecode(buffer, reduced | cv2.IMREAD_IGNORE_ORIENTATION) if jpeg else None
        if pixels is None:
            raise WireError("painted picture does not decode")
        shrink = self._scale * 2 if self._scale <= Fraction(1, 2) else self._scale
        if shrink != 1:
            size = (_even(pixels.shape[1] * shrink), _even(pixels.shape[0] * shrink))
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        done, written = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, round(self._quality)])
        if not done:
            raise WireError(f"no JPEG of {pixels.shape} pixels")
        wanted_bytes = rate_bps / 8 / self._fps
        # A step of quality is about 3 % of size around the middle; a tenth of the way there does not swing.
        step = 6.0 if written.size < 0.8 * wanted_bytes else -12.0 if written.size > 1.1 * wanted_bytes else 0.0
        self._quality = min(_QUALITIES[1], max(_QUALITIES[0], self._quality + step))
        return CodedPicture("jpeg", pixels.shape[1], pixels.shape[0], True, written.tobytes())


def avc_name(data: bytes) -> str:
    """Return WebCodecs' name of the H.264 (Annex B) that begins here: profile, constraints and level of its SPS.

    Raises `WireError` where there is none.
    """
    at = data.find(b"\x00\x00\x01")
    while at >= 0 and at + 7 <= len(data):
        if data[at + 3] & 0x1F == 7:
            return f"avc1.{data[at + 4 : at + 7].hex()}"
        at = data.find(b"\x00\x00\x01", at + 3)
    raise WireError("H.264 without its parameters")


def _even(length: Fraction | int) -> int:
    return max(2, 2 * round(length / 2))
