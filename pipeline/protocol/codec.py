"""Picture ⇄ bytes for the wire: JPEG, PNG or the pixels as they are. Headers are read before any pixel is.

`probe` reads size and kind from the header alone, so a picture that claims 65535×65535 costs nothing to refuse.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import WireError
from pipeline.protocol.frame import Codec, EncodedFrame, Frame

# One thread: a slot is one core wide, and OpenCV's own pool would fight the painting for it.
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# JPEG frame headers (SOF0–SOF15) without DHT, JPG and DAC, which share the range.
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# What may stand before it, each with a length: tables and restart interval, APP0–APP15, comment. Over anything else
# (markers without a length, a scan) decoders walk in ways of their own, and might find another frame header than we do.
_BEFORE_SOF = frozenset({0xC4, 0xCC, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE})

# OpenCV writes 8 KB to a chunk: this is more than the largest frame has. Empty ones by the million cost us seconds.
_MOST_CHUNKS = 1 << 16


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture's first bytes say of it."""

    codec: Codec
    width: int
    height: int


def probe(data: bytes) -> Header:
    """Read kind and size from a JPEG's or PNG's header. Raises `WireError` for anything else."""
    if data[:8] == _PNG_SIGNATURE and len(data) >= 33 and data[12:16] == b"IHDR":
        return _probe_png(data)
    if data[:2] == b"\xff\xd8":
        return _probe_jpeg(data)
    raise WireError("picture is neither JPEG nor PNG")


def encode(frame: Frame, codec: Codec, *, quality: int = 95) -> EncodedFrame:
    """Encode `frame.pixels` (H×W×3 uint8 BGR). `quality` counts for JPEG; PNG is lossless."""
    height, width = frame.pixels.shape[:2]
    data = encode_pixels(frame.pixels, codec, quality=quality)
    return EncodedFrame(frame.seq, frame.pts, codec, width, height, data, frame.name)


def encode_pixels(pixels: NDArray[np.uint8], codec: Codec, *, quality: int = 95) -> bytes:
    """Return H×W×3 uint8 BGR pixels as the file, or the bytes, that `codec` names."""
    if codec is Codec.RAW:
        return pixels.tobytes()
    if codec is Codec.PNG:
        # Level 1: a photo is on the wire for a moment; level 3 takes twice the time for a few percent.
        done, buffer = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    else:
        done, buffer = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise WireError(f"{codec} could not encode {pixels.shape} pixels")
    return buffer.tobytes()


def decode(frame: EncodedFrame) -> NDArray[np.uint8]:
    """Return H×W×3 uint8 BGR pixels, contiguous, of raw ones not writable. Raises `WireError`.

    Call it only once `wire.unpack_frame` has checked the frame.
    """
    if frame.codec is Codec.RAW:
        return np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.width, 3)
    pixels = cv2.imdecode(np.frombuffer(frame.data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None or pixels.shape[:2] != (frame.height, frame.width):
        raise WireError(f"{frame.codec} picture of frame {frame.seq} does not decode")
    return np.ascontiguousarray(pixels, dtype=np.uint8)


def _probe_png(data: bytes) -> Header:
    header = _checked(Codec.PNG, int.from_bytes(data[16:20]), int.from_bytes(data[20:24]))
    at = len(_PNG_SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        if at + 12 > len(data):
            break
        # OpenCV makes room for a chunk before it reads it: 200 bytes that claim 4 GB would take 4 GB.
        length = int.from_bytes(data[at : at + 4])
        if length > len(data) - at - 12:
            break
        if data[at + 4 : at + 8] == b"IEND":
            # OpenCV reads on behind an end that is none: one with a length, and maybe one with a wrong checksum.
            if length or at + 12 != len(data):
                break
            return header
        at += 12 + length
    raise WireError("PNG is not whole")


def _probe_jpeg(data: bytes) -> Header:
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker in _SOF:
            return _checked(Codec.MJPEG, int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7]))
        length = int.from_bytes(data[at + 2 : at + 4])
        if marker not in _BEFORE_SOF or length < 2:
            break
        at += 2 + length
    raise WireError("JPEG without a frame header")


def _checked(codec: Codec, width: int, height: int) -> Header:
    if width < 1 or height < 1:
        raise WireError(f"{codec} header says {width}×{height}")
    return Header(codec, width, height)
