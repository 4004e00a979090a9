"""Which files are read: one list for folder scans, `painter paint`, the page's uploads and the photo writer.

A format is known by its suffix (folders, outputs) and by its first bytes (uploads, whose names prove nothing). Only
containers that hold their own pictures have first bytes here: FFmpeg opens a playlist by its content and would read
whatever files it names. A format with `refused` is known and not read; the text says what to do instead.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """How a file is read: a photo by itself or with its folder, a video frame by frame."""

    PHOTO = "photo"
    VIDEO = "video"
    #: One picture or several: the file itself tells.
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Format:
    """One file format. The first suffix names uploads; `magic` matches its first `HEAD_BYTES`.

    `writer`: Pillow's name of what writes it, "" for what is only read; a photo that is only read becomes `becomes`.
    """

    name: str
    kind: Kind
    suffixes: tuple[str, ...]
    magic: re.Pattern[bytes] | None = None
    refused: str = ""
    writer: str = ""
    becomes: str = ".png"


#: A transport stream repeats its sync byte after 188 bytes, an .m2ts after 192 with 4 before the first.
HEAD_BYTES = 197


def _format(name: str, kind: Kind, suffixes: str, magic: bytes | None = None, refused: str = "") -> Format:
    pattern = re.compile(magic, re.DOTALL) if magic else None
    # A phone's photo as PNG takes ten times its bytes.
    becomes = ".jpg" if name == "HEIC" else ".png"
    return Format(name, kind, tuple(suffixes.split()), pattern, refused, _WRITERS.get(name, ""), becomes)


_WRITERS = {"JPEG": "JPEG", "PNG": "PNG", "WebP": "WEBP", "TIFF": "TIFF", "BMP": "BMP", "AVIF": "AVIF"}
_PHOTO, _VIDEO, _EITHER = Kind.PHOTO, Kind.VIDEO, Kind.EITHER
_AS_PHOTO = "save it as JPEG, PNG or TIFF first"
_DEVELOP = "develop it to TIFF or JPEG first"

#: The first whose `magic` matches is taken.
FORMATS = (
    _format("JPEG", _PHOTO, ".jpg .jpeg .jfif .jpe", rb"\xff\xd8\xff"),
    _format("PNG", _EITHER, ".png .apng", rb"\x89PNG\r\n\x1a\n"),
    _format("WebP", _EITHER, ".webp", rb"RIFF....WEBP"),
    _format("GIF", _EITHER, ".gif", rb"GIF8[79]a"),
    _format("camera raw", _PHOTO, ".cr2", rb"II\*\0....CR\x02", _DEVELOP),
    _format("TIFF", _PHOTO, ".tif .tiff", rb"II[*+]\0|MM\0[*+]"),
    _format("BMP", _PHOTO, ".bmp .dib", rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"),
    _format("HEIC", _PHOTO, ".heic .heif .hif", rb"....ftyp(?:heic|heix|heim|heis|mif1|msf1)"),
    _format("AVIF", _EITHER, ".avif .avifs", rb"....ftypavi[fs]"),
    _format("HEIC sequence", _PHOTO, ".heics", rb"....ftyp(?:hevc|hevx)", "save it as MP4 first"),
    _format("camera raw", _PHOTO, ".cr3", rb"....ftypcrx ", _DEVELOP),
    _format("MP4", _VIDEO, ".mp4 .m4v .f4v .3gp .3g2", rb"....ftyp(?!qt  )"),
    _format("MOV", _VIDEO, ".mov .qt", rb"....ftypqt  |....(?:moov|mdat|wide|free|skip)"),
    _format("Matroska", _VIDEO, ".mkv .webm .mk3d", rb"\x1aE\xdf\xa3"),
    _format("AVI", _VIDEO, ".avi .divx", rb"RIFF....AVI "),
    _format("MPEG-TS", _VIDEO, ".ts .tsv .m2t", rb"G.{187}G"),
    _format("M2TS", _VIDEO, ".m2ts .mts", rb".{4}G.{191}G"),
    _format("MPEG", _VIDEO, ".mpg .mpeg .vob .mpe .m2v .m1v", rb"\0\0\x01[\xba\xb3]"),
    _format("WMV", _VIDEO, ".wmv .asf", rb"0&\xb2u\x8ef\xcf\x11\xa6\xd9\0\xaa\0b\xcel"),
    _format("FLV", _VIDEO, ".flv", rb"FLV\x01"),
    _format("Ogg", _VIDEO, ".ogv .ogm .ogg", rb"OggS\0"),
    _format("MXF", _VIDEO, ".mxf", rb"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02"),
    _format("DV", _VIDEO, ".dv .dif", rb"\x1f\x07\0[\x3f\xbf]"),
    _format("Y4M", _VIDEO, ".y4m", rb"YUV4MPEG2 "),
    _format("NUT", _VIDEO, ".nut", rb"nut/multimedia container\0"),
    _format("IVF", _VIDEO, ".ivf", rb"DKIF"),
    _format("H.264 or HEVC", _VIDEO, ".h264 .264 .h265 .265 .hevc"),
    _format("JPEG XL", _PHOTO, ".jxl", rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", _AS_PHOTO),
    _format("JPEG 2000", _PHOTO, ".jp2 .j2k .jpx", rb"\0\0\0\x0cjP  \r\n\x87\n|\xffO\xffQ"),
    _format("PNM", _PHOTO, ".ppm .pgm .pbm .pnm"),
    _format("TGA", _PHOTO, ".tga"),
    _format("OpenEXR", _PHOTO, ".exr", rb"v/1\x01", _AS_PHOTO),
    _format("Radiance HDR", _PHOTO, ".hdr", rb"#\?RADIANCE", _AS_PHOTO),
    _format("Photoshop", _PHOTO, ".psd .psb", rb"8BPS", _AS_PHOTO),
    _format("SVG", _PHOTO, ".svg", None, _AS_PHOTO),
    _format("PDF", _PHOTO, ".pdf", rb"%PDF-", _AS_PHOTO),
    _format("camera raw", _PHOTO, ".nef .nrw .arw .srf .sr2 .raf .orf .rw2 .pef .dng .srw .3fr .iiq", None, _DEVELOP),
)  # fmt: skip
_BY_SUFFIX = {suffix: known for known in FORMATS for suffix in known.suffixes}


def by_suffix(path: Path) -> Format | None:
    """Return the format a file's name claims, None for a name of no picture."""
    return _BY_SUFFIX.get(path.suffix.lower())


def by_head(head: bytes) -> Format | None:
    """Return the format of a file that begins so (`HEAD_BYTES` of it), None for an unknown one."""
    return next((known for known in FORMATS if known.magic and known.magic.match(head)), None)


def is_readable(path: Path) -> bool:
    """Say whether a file's name is that of a photo or video that is read."""
    known = by_suffix(path)
    return known is not None and not known.refused


def writers() -> dict[str, str]:
    """Return Pillow's writer for each suffix a photo can be written with."""
    return {suffix: known.writer for suffix, known in _BY_SUFFIX.items() if known.writer}


def photo_suffix(path: Path) -> str:
    """Return the suffix of a painted photo: its own where that is written, else that of what it becomes."""
    known = by_suffix(path)
    return path.suffix if known is None or known.writer else known.becomes


def names(kind: Kind) -> str:
    """Return the suffixes of the read formats of one kind, for a message."""
    return ", ".join(known.suffixes[0] for known in FORMATS if known.kind is kind and not known.refused)
