"""What a page says over its socket, read and checked; docs/protocol.md is the document. Pure.

Whatever does not fit is refused with `WireError`, whose text goes back to the page.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import WireError
from pipeline.protocol.frame import LEAST_BRUSH, MOST_BRUSH, Look, is_mix
from pipeline.protocol.wire import MAX_NAME
from viewer.broadcast import Shot
from viewer.picture_coder import PageCodec
from viewer.web.stats import work_ms

PROTOCOL_VERSION = 1
CAMERA_PICTURE, PAINTED_PICTURE, CODED_PICTURE, CAMERA_CHUNK = 1, 2, 3, 4
# Kind, then the page's own clock in ms as float64.
_CAMERA_HEAD = struct.Struct("<Bd")
# Kind, codec, 1 for a key frame, clock.
_CHUNK_HEAD = struct.Struct("<BBBd")
_CHUNK_CODECS = {1: PageCodec.H264, 2: PageCodec.VP8}
_PAINTED_HEAD = struct.Struct("<BH")
_MAX_CLOCK_MS = 1e15
_MAX_LIST = 32
_MAX_WIDTH_PX = 16_384


@dataclass(frozen=True, slots=True)
class WatchStreams:
    """Watch these streams and no other; `width_px`: how wide each is shown, None: as wide as it is."""

    streams: tuple[str, ...]
    compare: bool
    width_px: int | None = None


@dataclass(frozen=True, slots=True)
class CameraOn:
    """Open this page's camera, or paint it otherwise from the next picture on."""

    styles: tuple[str, ...]
    look: Look


@dataclass(frozen=True, slots=True)
class CameraOff:
    """Close this page's camera."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Change a stream produced elsewhere."""

    stream: str
    style: str
    look: Look


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture is on the screen. `delay_ms`: capture to drawn on the page's clock, None for a foreign stream;
    `held_ms`: of that since it came out of the socket."""

    stream: str
    seq: int
    delay_ms: float | None
    held_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class CanDecode:
    """This page adapts to its line, and decodes these codecs, best first; `always`: it wants coded pictures anyway."""

    codecs: tuple[PageCodec, ...]
    always: bool = False


@dataclass(frozen=True, slots=True)
class Echo:
    """Answered at once with the same time: how the page learns how long its way is."""

    at_ms: float


@dataclass(frozen=True, slots=True)
class KeyWanted:
    """A stream's pictures cannot be decoded without a key frame."""

    stream: str


@dataclass(frozen=True, slots=True)
class CameraPicture:
    """A picture of the page's camera, taken at `captured_ms` of the page's clock."""

    captured_ms: int
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class CameraChunk:
    """A picture of the page's camera as the next piece of its video."""

    captured_ms: int
    codec: PageCodec
    is_key: bool
    data: bytes


Said = WatchStreams | CameraOn | CameraOff | Wish | Drawn | CanDecode | KeyWanted | Echo


def read_text(text: str) -> Said:
    """Read a text frame. Raises `WireError`."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError("message is not JSON") from error
    if not isinstance(fields, dict):
        raise WireError("message is not an object")
    match fields.get("type"):
        case "watch":
            return WatchStreams(_names(fields, "streams"), _flag(fields, "compare"), _width(fields))
        case "camera":
            return CameraOn(_names(fields, "styles"), _look(fields))
        case "camera_off":
            return CameraOff()
        case "wish":
            return Wish(_name(fields.get("stream"), "stream"), _name(fields.get("style"), "style"), _look(fields))
        case "drawn":
            return Drawn(_name(fields.get("stream"), "stream"), _seq(fields), _delay(fields), _held(fields))
        case _:
            return _read_line(fields)


def _read_line(fields: dict[str, Any]) -> Said:
    """Read what concerns the page's line."""
    match fields.get("type"):
        case "can":
            known = {codec.value: codec for codec in PageCodec if codec is not PageCodec.MJPEG}
            codecs = tuple(known[name] for name in _names(fields, "video") if name in known)
            return CanDecode(codecs, _flag(fields, "always"))
        case "echo":
            at_ms = _number(fields.get("at_ms"))
            if at_ms is None:
                raise WireError("at_ms is not a time")
            return Echo(at_ms)
        case "key":
            return KeyWanted(_name(fields.get("stream"), "stream"))
        case _:
            raise WireError("message type is not one of watch, camera, camera_off, wish, drawn, can, key, echo")


def read_picture(data: bytes) -> CameraPicture | CameraChunk:
    """Read a binary frame. Raises `WireError`; JPEG and video themselves are judged by who takes them."""
    if data[:1] == bytes([CAMERA_CHUNK]) and len(data) > _CHUNK_HEAD.size:
        _, codec, key, clock_ms = _CHUNK_HEAD.unpack_from(data)
        if codec not in _CHUNK_CODECS or key > 1:
            raise WireError("camera video is neither H.264 (1) nor VP8 (2)")
        return CameraChunk(_captured(clock_ms), _CHUNK_CODECS[codec], key == 1, data[_CHUNK_HEAD.size :])
    if len(data) <= _CAMERA_HEAD.size or data[0] != CAMERA_PICTURE:
        raise WireError("binary message is not a camera picture")
    return CameraPicture(_captured(_CAMERA_HEAD.unpack_from(data)[1]), data[_CAMERA_HEAD.size :])


def _captured(clock_ms: float) -> int:
    if not 0 <= clock_ms < _MAX_CLOCK_MS:  # refuses NaN too
        raise WireError("capture time is out of range")
    return round(clock_ms)


def pack_picture(
    kind: int, shot: Shot, painted: bytes, source: bytes, *, coding: Mapping[str, object] | None = None
) -> bytes:
    """Return a picture as the page gets it: `painted` and `source` as they came off the wire, or coded by `coding`."""
    stages, frame = shot.stages, shot.frame
    header = json.dumps(
        {
            "stream": shot.stream, "seq": frame.seq, "pts": frame.pts, "w": frame.width, "h": frame.height,
            "size": len(painted), "source_size": len(source), "queue_ms": queue_ms(shot),
            "decode_ms": stages.decode_ms, "paint_ms": stages.paint_ms, "encode_ms": stages.encode_ms,
            "style": stages.style, "worker": stages.worker, **(coding or {}),
        },
        separators=(",", ":"),
    ).encode()  # fmt: skip
    return b"".join((_PAINTED_HEAD.pack(kind, len(header)), header, painted, source))


def queue_ms(shot: Shot) -> int:
    """Return how long a picture waited in its style's queue."""
    return max(0, shot.stages.claimed_ms - shot.stages.sent_ms)


def inside_ms(shot: Shot) -> float:
    """Return how long a picture was with queue and worker."""
    return queue_ms(shot) + work_ms(shot.stages)


def _names(fields: dict[str, Any], key: str) -> tuple[str, ...]:
    found = fields.get(key)
    if not isinstance(found, list) or len(found) > _MAX_LIST:
        raise WireError(f"{key} is not a list of at most {_MAX_LIST} names")
    return tuple(dict.fromkeys(_name(name, key) for name in found))


def _name(value: object, key: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or not value.isprintable() or ":" in value:
        raise WireError(f"{key} is not a name")
    return value


def _flag(fields: dict[str, Any], key: str) -> bool:
    value = fields.get(key, False)
    if not isinstance(value, bool):
        raise WireError(f"{key} is not true or false")
    return value


def _look(fields: dict[str, Any]) -> Look:
    strength = _number(fields.get("strength", 1.0))
    if strength is None or not 0.0 <= strength <= 1.0:
        raise WireError("strength is not a number from 0 to 1")
    brush = _number(fields.get("brush", 1.0))
    if brush is None or not LEAST_BRUSH <= brush <= MOST_BRUSH:
        raise WireError(f"brush is not a number from {LEAST_BRUSH:g} to {MOST_BRUSH:g}")
    mix, share = fields.get("mix", ""), _number(fields.get("share", 0.0))
    if not is_mix(mix, share):
        raise WireError("mix is not a style's name with a share from 0.1 to 0.9")
    return Look(strength, _flag(fields, "keep_colours"), brush, mix, share or 0.0)


def _seq(fields: dict[str, Any]) -> int:
    seq = fields.get("seq")
    if not isinstance(seq, int) or isinstance(seq, bool) or seq < 0:
        raise WireError("seq is not a number from 0 on")
    return seq


def _delay(fields: dict[str, Any]) -> float | None:
    delay = fields.get("delay_ms")
    if delay is None:
        return None
    number = _number(delay)
    if number is None or number < 0:
        raise WireError("delay_ms is not a time")
    return number


def _held(fields: dict[str, Any]) -> float:
    held = _number(fields.get("held_ms", 0.0))
    if held is None or held < 0:
        raise WireError("held_ms is not a time")
    return held


def _width(fields: dict[str, Any]) -> int | None:
    width = fields.get("width")
    if width is None:
        return None
    if not isinstance(width, int) or isinstance(width, bool) or not 0 < width <= _MAX_WIDTH_PX:
        raise WireError(f"width is not a number of pixels from 1 to {_MAX_WIDTH_PX}")
    return width


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    # A JSON integer may be too long for a float.
    return float(value) if abs(value) < _MAX_CLOCK_MS and math.isfinite(value) else None
