"""A page's camera video → pictures. What a visitor sends is decoded here, so all of it is bounded before it is decoded.

A chunk holds one picture: a megabyte of skipped ones would keep a core for minutes. One thread at a time.
"""

from dataclasses import dataclass

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # isort: skip
import av
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import WireError
from viewer.picture_coder import PageCodec

#: A key frame of 1080p at 6 Mbit/s is about 200 KB.
MAX_CHUNK_BYTES = 1 << 20
#: 1080p, and as much again.
MAX_PIXELS = 1 << 22
# As a browser's own camera picture, which its JPEG is made from otherwise.
_QUALITY = 90
_SLICE, _KEY_SLICE = 1, 5


@dataclass(frozen=True, slots=True)
class DecodedPicture:
    """One camera picture: `pixels` H×W×3 uint8, BGR."""

    pixels: NDArray[np.uint8]

    def jpeg(self) -> bytes:
        """Return it as the JPEG that workers take."""
        done, buffer = cv2.imencode(".jpg", self.pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        if not done:
            raise WireError(f"no JPEG of {self.pixels.shape} pixels")
        return buffer.tobytes()


class CameraDecoder:
    """Decodes one stream; after an error it waits for a key frame."""

    def __init__(self) -> None:
        self._context: av.VideoCodecContext | None = None
        self._codec: PageCodec | None = None

    def decode(self, codec: PageCodec, data: bytes, *, key: bool) -> DecodedPicture:
        """Return the picture of the next chunk. Raises `WireError`, and begins anew at the next key frame then."""
        try:
            return self._decoded(codec, data, key=key)
        except (av.FFmpegError, WireError) as error:
            self._context = None
            raise WireError(f"camera video does not decode: {error}") from error

    def _decoded(self, codec: PageCodec, data: bytes, *, key: bool) -> DecodedPicture:
        if not 0 < len(data) <= MAX_CHUNK_BYTES:
            raise WireError(f"chunk of {len(data)} bytes; from 1 to {MAX_CHUNK_BYTES} are taken")
        if codec is PageCodec.H264 and pictures_in(data) != 1:
            raise WireError(f"chunk of {pictures_in(data)} pictures; it holds one")
        if key and self._codec is not codec:
            self._context = None
        if self._context is None:
            if not key:
                raise WireError("no key frame came before")
            self._context, self._codec = _open(codec), codec
        if codec is not self._codec:
            raise WireError("another codec without a key frame")
        frames = self._context.decode(av.Packet(data))
        if len(frames) != 1:
            raise WireError(f"{len(frames)} pictures come out of a chunk")
        return DecodedPicture(np.ascontiguousarray(frames[0].to_ndarray(format="bgr24"), dtype=np.uint8))


def _open(codec: PageCodec) -> av.VideoCodecContext:
    context = av.CodecContext.create(codec.value, "r")
    assert isinstance(context, av.VideoCodecContext), "a video decoder"
    context.thread_count = 1
    context.options = {"max_pixels": str(MAX_PIXELS), "flags": "low_delay", "err_detect": "explode"}
    return context


def pictures_in(data: bytes) -> int:
    """Return how many pictures begin in an H.264 chunk (Annex B): slices whose first macroblock is the first one."""
    count, at = 0, data.find(b"\x00\x00\x01")
    while 0 <= at < len(data) - 4:
        is_slice = data[at + 3] & 0x1F in (_SLICE, _KEY_SLICE)
        # `first_mb_in_slice` is an Exp-Golomb number: a first bit that is set says 0.
        count += is_slice and data[at + 4] & 0x80 != 0
        at = data.find(b"\x00\x00\x01", at + 3)
    return count
