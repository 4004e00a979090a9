"""Files handed in over HTTP: judged by their first bytes, kept under names of our own in a folder of our own.

FFmpeg opens playlists by their content and reads what they name, so only containers that hold their own pictures pass.
"""

import asyncio
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from pipeline import formats
from pipeline.errors import SinkError, UsageError

# Left free on the disk for everybody else.
_SPARE_BYTES = 1 << 30
_CHUNK_S = 30.0


class TooLarge(UsageError):
    """More bytes than an upload may have."""


def suffix_of(head: bytes) -> str:
    """Return the suffix for a file that begins so. Raises `UsageError` for what is neither video nor photo."""
    known = formats.by_head(head)
    if known is None:
        raise UsageError("this is no video or photo that can be painted; MP4, MKV, MOV, JPEG, PNG, HEIC and others can")
    if known.refused:
        raise UsageError(f"{known.name} cannot be painted; {known.refused}")
    return known.suffixes[0]


def display_name(given: str) -> str:
    """Return what a user called a file, fit to be shown and offered as a download's name; never a path."""
    last = re.split(r"[/\\]", given)[-1]
    return "".join(c for c in last if c.isprintable())[:100].strip(". ") or "upload"


def make_room(folder: Path, length: int, limit: int) -> None:
    """Refuse a file before it comes. Raises `TooLarge` above `limit` bytes, `SinkError` on a full disk."""
    if length > limit:
        raise TooLarge(f"{length / 1e9:.1f} GB are too much; at most {limit / 1e9:.1f} GB are taken")
    if shutil.disk_usage(folder).free - length < _SPARE_BYTES:
        raise SinkError("the disk of this server is full")


async def save(chunks: AsyncIterator[bytes], folder: Path, limit: int) -> Path:
    """Write an upload into a new folder below `folder`; return the file. On failure nothing is left.

    Raises `UsageError` for a wrong or too large file, `SinkError` when it cannot be written.
    """
    home = folder / secrets.token_hex(16)
    home.mkdir(mode=0o700)
    try:
        return await _write(chunks, home, limit)
    except OSError as error:
        raise SinkError(f"the upload cannot be kept: {error.strerror or error}") from error
    finally:
        if not any(home.iterdir()):
            home.rmdir()


async def _write(chunks: AsyncIterator[bytes], home: Path, limit: int) -> Path:
    head = b""
    while len(head) < formats.HEAD_BYTES and (chunk := await _next(chunks)):
        head += chunk
    path = home / f"source{suffix_of(head)}"
    try:
        with path.open("xb") as file:
            written, chunk = 0, head
            while chunk:
                written += len(chunk)
                if written > limit:
                    raise TooLarge(f"the file is larger than {limit / 1e9:.1f} GB")
                await asyncio.to_thread(file.write, chunk)
                chunk = await _next(chunks)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


async def _next(chunks: AsyncIterator[bytes]) -> bytes:
    try:
        return await asyncio.wait_for(anext(chunks, b""), _CHUNK_S)
    except TimeoutError as error:
        raise UsageError(f"nothing came for {_CHUNK_S:.0f} s") from error
