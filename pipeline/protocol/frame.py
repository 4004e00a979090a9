"""A frame and the stream it belongs to, as every room knows them. Values only: nothing here does anything.

`seq` counts from 0 by 1 and orders; `pts` counts ticks of the stream's `time_base` and times. Neither is ever reused.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


class Mode(StrEnum):
    """Which promise a stream gets: a file loses nothing, a live stream is never late."""

    FILE = "file"
    LIVE = "live"


class Codec(StrEnum):
    """How a frame crosses the wire; the names are FFmpeg's."""

    MJPEG = "mjpeg"
    PNG = "png"
    #: The pixels themselves: height × width × 3 bytes, BGR, row after row.
    RAW = "rawvideo"


#: A style's name is part of a queue's and a file's name.
STYLE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
#: How large strokes may be asked for.
LEAST_BRUSH, MOST_BRUSH = 0.5, 4.0
#: A look's `brush` where a frame is painted at the size it was sent: its producer brings the painting to its size.
BRUSH_AS_SENT = 0.0


@dataclass(frozen=True, slots=True)
class Look:
    """The style parameters of one frame, changeable from frame to frame.

    `strength` blends painting into source (0 source, 1 painting); `keep_colours` paints luma and keeps
    the source's chroma. `brush`: how large strokes are in proportion to the picture, 1 as at 640×480. `mix`: the name
    of a second style that makes up `share` (0.1 to 0.9, in tenths) of the first; "" and 0 for none.
    """

    strength: float = 1.0
    keep_colours: bool = False
    brush: float = 1.0
    mix: str = ""
    share: float = 0.0


def is_mix(mix: object, share: float | None) -> bool:
    """Whether a second style and its share are one, or none: a name with 0.1 to 0.9, "" with 0."""
    if not isinstance(mix, str) or share is None:
        return False
    return 0.1 <= share <= 0.9 and STYLE_NAME.fullmatch(mix) is not None if mix else share == 0


def style_label(style: str, look: Look) -> str:
    """Name a style with what is mixed into it: `wave+starry40` is 40 % starry."""
    return f"{style}+{look.mix}{round(100 * look.share)}" if look.mix else style


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture. `pixels`: H×W×3 uint8, BGR, contiguous. `name`: a photo's path in its folder, else ""."""

    seq: int
    pts: int
    pixels: NDArray[np.uint8]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Landmark:
    """A frame whose number and time are both known: a source is sought there and counted from there."""

    seq: int
    pts: int


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One picture as it crosses the wire: `data`: a whole JPEG or PNG file of `width`×`height`, or raw pixels."""

    seq: int
    pts: int
    codec: Codec
    width: int
    height: int
    data: bytes
    name: str = ""


@dataclass(frozen=True, slots=True)
class ColourTags:
    """FFmpeg's colour integers of a video (matrix, primaries, transfer, range); None where the source says nothing."""

    colorspace: int | None = None
    primaries: int | None = None
    transfer: int | None = None
    range: int | None = None


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What is known of a stream before its first frame.

    Width and height are the display size after rotation; 0×0 for a folder of photos, where each frame has its own.
    `rate` is the average frame rate, `frames` an estimate for progress, `end_pts` where the last picture ends; each
    None where the source does not say.
    """

    width: int
    height: int
    time_base: Fraction
    mode: Mode = Mode.FILE
    rate: Fraction | None = None
    frames: int | None = None
    end_pts: int | None = None
    codec: Codec = Codec.MJPEG
    colour: ColourTags = field(default_factory=ColourTags)
