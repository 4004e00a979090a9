"""The msgpack documents that cross between processes, and the only place that knows their fields.

Frame document (value of `frame:…`, and field `frame` of a painted entry), a map:

    v int        wire version: 2 with raw pixels, else 1
    seq int      ≥ 0         pts int      ticks of the stream's time_base, may be negative
    codec str    mjpeg|png|rawvideo
    w, h int     1…; w·h within the pixel limit, equal to the picture's own header
    name str     a photo's path within its folder, else ""
    data bin     the JPEG or PNG file, or 3·w·h bytes of BGR

Ticket (positional arguments of the Celery task `painter.paint`): v, stream, seq, attempt, live, strength, keep_colours;
from version 3 on also brush (0: painted at the size it was sent), mix and share (a second style; "" and 0: none). v,
stream and seq come first in every version, so that a worker knows which frame it leaves to a newer one. A ticket has
version 3 where its frame is not painted at its own size or in a mix: an older worker would paint it otherwise. Earlier
tickets' frames are painted at their own size.

Stages (field `stages` of a painted entry), a map: sent, claimed (server ms), decode, paint, encode (worker ms), style,
worker.

Whatever does not fit is refused with `WireError` before anything is decoded.
"""

from dataclasses import dataclass
from typing import Any

import msgpack

from pipeline.errors import VersionTooNew, WireError
from pipeline.protocol.brush import painting_size
from pipeline.protocol.codec import probe
from pipeline.protocol.frame import BRUSH_AS_SENT, LEAST_BRUSH, MOST_BRUSH, Codec, EncodedFrame, Look, is_mix

#: What we read. A ticket and a frame carry the lowest version whose workers can serve them (`ticket_version`,
#: `version_of`).
WIRE_VERSION = 3
_BRUSH_VERSION = 3
TASK_NAME = "painter.paint"
#: The control message that has a worker leave for good.
LEAVE = "leave"
#: A stream's name is a key's part and a file's name: no colon, no slash, no control character.
MAX_NAME = 200

_TYPES: dict[str, type] = {
    "v": int,
    "seq": int,
    "pts": int,
    "codec": str,
    "w": int,
    "h": int,
    "name": str,
    "data": bytes,
}


_NUMBER = (int, float)
# Of a ticket of the newest version; earlier ones end before `brush`, and have these for what is missing.
_BEFORE_BRUSH: tuple[Any, ...] = (BRUSH_AS_SENT, "", 0.0)
_TICKET_TYPES: tuple[type | tuple[type, ...], ...] = (int, str, int, int, bool, _NUMBER, bool, _NUMBER, str, _NUMBER)


@dataclass(frozen=True, slots=True)
class Ticket:
    """One frame's place in its style's queue: which frame, which attempt (from 1), and how it is to look."""

    stream: str
    seq: int
    attempt: int
    live: bool = False
    look: Look = Look()
    version: int = 1

    def to_args(self) -> list[Any]:
        """Return the task's positional arguments."""
        look = self.look
        args = [self.version, self.stream, self.seq, self.attempt, self.live, look.strength, look.keep_colours]
        return [*args, look.brush, look.mix, look.share] if self.version >= _BRUSH_VERSION else args

    @classmethod
    def from_args(cls, args: list[Any] | tuple[Any, ...]) -> "Ticket":
        """Read a task's arguments. Raises `WireError` for what is none, `VersionTooNew` for a later version's."""
        if _is_newer(args):
            raise VersionTooNew(f"tickets of version {args[0]}, this worker reads up to {WIRE_VERSION}")
        if not args or not _is_read(args[0]):
            raise WireError(f"ticket version {args[0] if args else None!r}, this worker reads 1 to {WIRE_VERSION}")
        types = _TICKET_TYPES if args[0] >= _BRUSH_VERSION else _TICKET_TYPES[: -len(_BEFORE_BRUSH)]
        if len(args) != len(types) or not all(isinstance(a, t) for a, t in zip(args, types, strict=True)):
            raise WireError(
                "ticket fields are not stream, seq, attempt, live, strength, keep_colours, brush, mix, share"
            )
        version, stream, seq, attempt, live, *look = (*args, *_BEFORE_BRUSH)[: len(_TICKET_TYPES)]
        if not (0 < len(stream) <= MAX_NAME and seq >= 0 and attempt >= 1):
            raise WireError("ticket values are out of range")
        return cls(stream, seq, attempt, live, _read_look(*look), version)


@dataclass(frozen=True, slots=True)
class Message:
    """A ticket as Celery queues it: the list it goes to, and what goes there. `app.message_of` makes it."""

    queue: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Stages:
    """Where a frame's time went. `sent_ms`, `claimed_ms`: server clock; the others: durations."""

    sent_ms: int = 0
    claimed_ms: int = 0
    decode_ms: float = 0.0
    paint_ms: float = 0.0
    encode_ms: float = 0.0
    style: str = ""
    worker: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What decode accepts at most."""

    max_pixels: int
    max_bytes: int


def _read_look(strength: float, keep_colours: bool, brush: float, mix: str, share: float) -> Look:
    if not 0.0 <= strength <= 1.0:
        raise WireError("a ticket's strength is 0 to 1")
    if brush != BRUSH_AS_SENT and not LEAST_BRUSH <= brush <= MOST_BRUSH:
        raise WireError(f"a ticket's brush is {LEAST_BRUSH:g} to {MOST_BRUSH:g}, or {BRUSH_AS_SENT:g}")
    # A name alone: whoever writes tickets names no file of the worker's.
    if not is_mix(mix, share):
        raise WireError("a ticket's mix is a style's name with a share from 0.1 to 0.9")
    return Look(float(strength), keep_colours, float(brush), mix, float(share))


def version_of(codec: Codec) -> int:
    """Return the lowest version that reads frames of `codec`."""
    return 2 if codec is Codec.RAW else 1


def ticket_version(frame: EncodedFrame, look: Look) -> int:
    """Return the lowest version whose workers paint `frame` as `look` asks, whoever takes its ticket."""
    size = (frame.width, frame.height)
    if look.mix or look.brush == BRUSH_AS_SENT or painting_size(*size, look.brush) != size:
        return _BRUSH_VERSION
    return version_of(frame.codec)


def pack_frame(frame: EncodedFrame) -> bytes:
    """Return the frame document."""
    document = {
        "v": version_of(frame.codec), "seq": frame.seq, "pts": frame.pts, "codec": str(frame.codec),
        "w": frame.width, "h": frame.height, "name": frame.name, "data": frame.data,
    }  # fmt: skip
    # A photo is named in the bytes its disk has, which need not be UTF-8.
    return bytes(msgpack.packb(document, unicode_errors="surrogateescape"))


def unpack_frame(document: bytes, limits: Limits, *, raw: bool = True) -> EncodedFrame:
    """Read a frame document. Raises `WireError`; the picture's own header is checked, its pixels are not decoded.

    `raw`: whether raw pixels are taken; whoever hands the data on as a picture file has no use for them.
    """
    fields = _unpack_map(document, limits.max_bytes)
    if not _is_read(fields.get("v")):
        raise WireError(f"frame version {fields.get('v')!r}, expected 1 to {WIRE_VERSION}")
    for key, kind in _TYPES.items():
        if not isinstance(fields.get(key), kind) or isinstance(fields.get(key), bool):
            raise WireError(f"frame field {key!r} is not {kind.__name__}")
    width, height = fields["w"], fields["h"]
    if fields["seq"] < 0 or width < 1 or height < 1 or width * height > limits.max_pixels:
        raise WireError(f"frame {width}×{height} is outside 1×1 … {limits.max_pixels} pixels")
    if fields["codec"] != Codec.RAW:
        _check_picture(fields["codec"], width, height, fields["data"])
    elif not raw or len(fields["data"]) != 3 * width * height:
        raise WireError(f"{len(fields['data'])} bytes of raw pixels are not taken as {width}×{height}")
    return EncodedFrame(
        fields["seq"], fields["pts"], Codec(fields["codec"]), width, height, fields["data"], fields["name"]
    )  # fmt: skip


def pack_stages(stages: Stages) -> bytes:
    """Return the stages of a painted entry."""
    fields = {
        "sent": stages.sent_ms, "claimed": stages.claimed_ms, "decode": stages.decode_ms, "paint": stages.paint_ms,
        "encode": stages.encode_ms, "style": stages.style, "worker": stages.worker,
    }  # fmt: skip
    return bytes(msgpack.packb(fields))


def unpack_stages(document: bytes) -> Stages:
    """Read a painted entry's stages. Raises `WireError`."""
    fields = _unpack_map(document, 4096)
    try:
        return Stages(
            int(fields["sent"]), int(fields["claimed"]), float(fields["decode"]), float(fields["paint"]),
            float(fields["encode"]), str(fields["style"]), str(fields["worker"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise WireError(f"stages: {error!r}") from error


def _check_picture(codec: str, width: int, height: int, data: bytes) -> None:
    found = probe(data)
    if (found.codec, found.width, found.height) != (codec, width, height):
        said = f"document says {codec} {width}×{height}"
        raise WireError(f"picture is {found.codec} {found.width}×{found.height}, {said}")


def _is_read(version: object) -> bool:
    return type(version) is int and 1 <= version <= WIRE_VERSION


def _is_newer(args: list[Any] | tuple[Any, ...]) -> bool:
    kinds = (int, str, int)
    return len(args) >= len(kinds) and all(map(isinstance, args, kinds)) and args[0] > WIRE_VERSION


def _unpack_map(document: bytes, max_bytes: int) -> dict[str, Any]:
    if len(document) > max_bytes:
        raise WireError(f"document of {len(document)} bytes, at most {max_bytes} are accepted")
    try:
        fields = msgpack.unpackb(
            document, max_map_len=16, max_array_len=0, max_ext_len=0, unicode_errors="surrogateescape"
        )
    except (ValueError, msgpack.UnpackException) as error:
        raise WireError(f"not a msgpack document: {error}") from error
    if not isinstance(fields, dict):
        raise WireError("document is not a map")
    return fields
