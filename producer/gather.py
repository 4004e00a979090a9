"""Sources that are no file of their own made into one: what comes down a pipe, and pictures numbered in their names.

Bytes are copied, nothing is decoded. From then on such a source is a film like any other, with sound and resuming. A
pipe is read to its end before painting begins: the output takes its sound from the file, and frames may be sought.
"""

import hashlib
import io
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
from av.packet import Packet

from pipeline.errors import UsageError
from pipeline.ffmpeg import file_url
from pipeline.formats import HEAD_BYTES, Kind, by_head, by_suffix
from producer.photo_pixels import refusal

PIPE = "-"
_NUMBER = re.compile(r"%(0(\d+))?d")
_CHUNK_BYTES = 1 << 20
# Left free on the disk for everybody else.
_SPARE_BYTES = 1 << 30
_RATE = Fraction(25)
# What a NUT file, made by copying, can hold of them.
_NUMBERED = frozenset({"PNG", "JPEG"})


@dataclass(frozen=True, slots=True)
class Gathering:
    """How sources are gathered: into `folder`, numbered pictures at `rate` a second, from `pipe`."""

    folder: Path
    rate: Fraction | None = None
    pipe: IO[bytes] | None = None
    say: Callable[[str], object] = lambda text: None


@contextmanager
def gathered(words: Sequence[str], how: Gathering) -> Iterator[list[str]]:
    """Yield the sources, pipes and numbered patterns among them replaced by files that are removed at the end.

    A film of numbered pictures stays after a failure: the next run finds it as it was and resumes. Raises `UsageError`.
    """
    made: list[Path] = []
    numbered = [word for word in words if is_numbered(word)]
    if how.rate is not None and not numbered:
        raise UsageError("--rate is for pictures numbered in their names, such as frames/%05d.png")
    try:
        found = []
        for word in words:
            if word == PIPE:
                made.append(_from_pipe(how))
            elif word in numbered:
                made.append(_from_numbered(word, how))
            found.append(str(made[-1]) if word == PIPE or word in numbered else word)
        yield found
    except BaseException:
        _remove(path for path in made if path.stem == "stdin")
        raise
    _remove(made)


def is_numbered(word: str) -> bool:
    """Say whether a source names numbered pictures, such as `frames/%05d.png`, and no file of that very name."""
    return _NUMBER.search(Path(word).name) is not None and not Path(word).exists()


def _from_pipe(how: Gathering) -> Path:
    pipe = how.pipe or sys.stdin.buffer
    if pipe.isatty():
        raise UsageError("-: standard input is a terminal; pipe a video into it: ffmpeg … -f nut - | painter paint - …")
    head = pipe.read(HEAD_BYTES)
    known = by_head(head)
    if known is None or known.refused or known.kind is not Kind.VIDEO:
        raise UsageError("-: standard input holds no video that is read; NUT, Matroska and y4m are (ffmpeg -f nut)")
    how.say(f"{known.name} from standard input: read to its end first; a run that is stopped cannot be resumed")
    path = _home(how.folder, hashlib.sha256(head).hexdigest()) / f"stdin{known.suffixes[0]}"
    try:
        with path.open("wb") as file:
            file.write(head)
            while chunk := pipe.read(_CHUNK_BYTES):
                _require_room(how.folder, len(chunk))
                file.write(chunk)
    except BaseException:
        _remove([path])
        raise
    return path


def _from_numbered(word: str, how: Gathering) -> Path:
    """Return a film of the pictures, packet by packet what their files hold."""
    files, rate = _numbered_files(Path(word).expanduser()), how.rate or _RATE
    if how.rate is None:
        how.say(f"{word}: {len(files)} pictures at {rate} a second; --rate says otherwise")
    states = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    name = hashlib.sha256(repr((states, rate)).encode()).hexdigest()
    path = _home(how.folder, name) / f"{files[0].resolve().parent.name or 'frames'}.nut"
    if path.exists():
        return path
    _require_room(how.folder, sum(size for _, size, _ in states))
    working = path.with_suffix(".part")
    try:
        _copy_packets(files, rate, working)
        # Made again, it is the same file to whoever resumes what was begun from it.
        newest = max(at for _, _, at in states)
        os.utime(working, ns=(newest, newest))
        working.replace(path)
    except (av.FFmpegError, OSError, ValueError) as error:
        _remove([working])
        raise UsageError(f"{word}: cannot be read as a film ({getattr(error, 'strerror', None) or error})") from error
    return path


def _numbered_files(pattern: Path) -> list[Path]:
    """Return the files a pattern names, in order. Raises `UsageError` where there are none or one is missing."""
    known = by_suffix(pattern)
    if known is None or known.name not in _NUMBERED:
        why = refusal(known) if known is not None and known.refused else "numbered pictures are PNG or JPEG"
        raise UsageError(f"{pattern}: {why}")
    before, digits, after = _split(pattern.name)
    name = re.compile(re.escape(before) + (rf"(\d{{{digits},}})" if digits else r"(\d+)") + re.escape(after))
    folder = pattern.parent
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    found = {int(match[1]): folder / match.string for match in map(name.fullmatch, names) if match}
    if not found:
        raise UsageError(f"{pattern}: no file is numbered so")
    first, last = min(found), max(found)
    if (missing := next((number for number in range(first, last) if number not in found), None)) is not None:
        raise UsageError(f"{pattern}: number {missing} is missing between {first} and {last}")
    return [found[number] for number in range(first, last + 1)]


def _split(name: str) -> tuple[str, int, str]:
    match = _NUMBER.search(name)
    assert match is not None
    return name[: match.start()], int(match[2] or 0), name[match.end() :]


def _copy_packets(files: Sequence[Path], rate: Fraction, target: Path) -> None:
    with (
        av.open(io.BytesIO(files[0].read_bytes())) as first,
        av.open(file_url(target), "w", format="nut") as out,
    ):
        stream = out.add_stream_from_template(first.streams.video[0])
        stream.time_base = 1 / rate
        for number, file in enumerate(files):
            packet = Packet(file.read_bytes())
            packet.stream, packet.time_base, packet.is_keyframe = stream, 1 / rate, True
            packet.pts = packet.dts = number
            packet.duration = 1
            out.mux(packet)


def _home(folder: Path, name: str) -> Path:
    home = folder / name[:32]
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return home


def _require_room(folder: Path, size_bytes: int) -> None:
    if shutil.disk_usage(folder).free - size_bytes < _SPARE_BYTES:
        raise UsageError(f"{folder}: the disk is too full for the pictures to paint; XDG_CACHE_HOME names another")


def _remove(paths: "Iterator[Path] | Sequence[Path]") -> None:
    for path in paths:
        shutil.rmtree(path.parent, ignore_errors=True)
