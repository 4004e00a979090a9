"""Unpack Qt binary resource files (`.rcc`): where Debian's gcompris-qt-data keeps its photos and paintings."""

import ctypes
import struct
import zlib
from pathlib import Path

from pipeline.errors import UsageError

_MAGIC = b"qres"
_HEADER = struct.Struct(">4sIIII")
_IS_ZLIB, _IS_FOLDER, _IS_ZSTD = 1, 2, 4
_LARGEST_FILE_BYTES = 1 << 28


class _Resources:
    def __init__(self, content: bytes) -> None:
        magic, version, self.tree, self.bodies, self.names = _HEADER.unpack_from(content)
        if magic != _MAGIC:
            raise UsageError("not a Qt resource file")
        self.content = content
        self.entry_bytes = 14 if version < 2 else 22

    def walk(self, index: int, folder: Path, written: list[Path]) -> None:
        at = self.tree + index * self.entry_bytes
        name_at, flags = struct.unpack_from(">IH", self.content, at)
        path = folder / self._name(name_at) if index else folder
        if flags & _IS_FOLDER:
            count, first = struct.unpack_from(">II", self.content, at + 6)
            for child in range(first, first + count):
                self.walk(child, path, written)
            return
        (body_at,) = struct.unpack_from(">I", self.content, at + 10)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self._body(self.bodies + body_at, flags))
        written.append(path)

    def _name(self, offset: int) -> str:
        at = self.names + offset
        (length,) = struct.unpack_from(">H", self.content, at)
        name = self.content[at + 6 : at + 6 + 2 * length].decode("utf-16-be")
        if name in {"", ".", ".."} or "/" in name:
            raise UsageError(f"a resource is called {name!r}")
        return name

    def _body(self, at: int, flags: int) -> bytes:
        (length,) = struct.unpack_from(">I", self.content, at)
        body = self.content[at + 4 : at + 4 + length]
        if flags & _IS_ZLIB:
            return zlib.decompress(body[4:])
        if flags & _IS_ZSTD:
            return _unzstd(body)
        return body


def _unzstd(body: bytes) -> bytes:
    # dpkg itself needs this library, so it is wherever these packages can be unpacked: no Python package for it.
    try:
        zstd = ctypes.CDLL("libzstd.so.1")
    except OSError as error:
        raise UsageError(f"unpacking the materials needs libzstd: {error}") from error
    zstd.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
    zstd.ZSTD_decompress.restype = ctypes.c_size_t
    size = zstd.ZSTD_getFrameContentSize(body, ctypes.c_size_t(len(body)))
    if size > _LARGEST_FILE_BYTES:
        raise UsageError(f"a resource claims {size} bytes")
    plain = ctypes.create_string_buffer(size)
    if zstd.ZSTD_decompress(plain, ctypes.c_size_t(size), body, ctypes.c_size_t(len(body))) != size:
        raise UsageError("a resource is not valid zstd")
    return plain.raw


def unpack(path: Path, folder: Path) -> list[Path]:
    """Write every file of the resource below `folder`; raises UsageError for anything that is not one."""
    written: list[Path] = []
    _Resources(path.read_bytes()).walk(0, folder, written)
    return written
