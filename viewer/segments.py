"""The working folder of an output: which job it belongs to and which parts of it are finished.

Invariant: the manifest names only files that are whole, and is itself replaced by rename; a folder of another job
(other source, style, quality, encoder) is never gone on from.
"""

import fcntl
import hashlib
import json
import os
import shutil
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import IO, Any

from pipeline.errors import SinkError, UsageError

_VERSION = 1
# Enough of a file to tell two takes of one camera apart, read in a moment.
_HEAD_BYTES = 1 << 16
_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """How the output is made. `painting` names everything that decides a frame's look: style, strength, colours."""

    painting: str = ""
    #: As `viewer.encoders` reads them; None and "" leave the choice to the encoder.
    encoder: str = "auto"
    crf: int | None = None
    preset: str = ""
    pix_fmt: str = ""
    segment_frames: int = 48
    start_s: float | None = None
    end_s: float | None = None
    # Begin anew, whatever an earlier run left; says nothing of the output, so not part of the job's identity.
    fresh: bool = field(default=False, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Segment:
    """One closed part: `frames` pictures from `first_seq` on, between two timestamps of the source."""

    file: str
    first_seq: int
    frames: int
    first_pts: int
    last_pts: int
    size_bytes: int


class PartsFolder:
    """`<output>.parts`, held by one job at a time."""

    def __init__(self, output: Path, job: str, *, fresh: bool = False) -> None:
        """Take the folder; one left by another job is emptied, with `fresh` any. Raises `UsageError`."""
        self.path = output.with_name(output.name + ".parts")
        self._job = job
        _require_writable(output.parent)
        try:
            self.path.mkdir(mode=0o700, exist_ok=True)
            self._lock: IO[bytes] | None = (self.path / "lock").open("wb")
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be made ({error.strerror})") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise UsageError(f"{output}: another job is writing it right now") from error
        except OSError as error:
            self._lock.close()
            why = error.strerror or error
            raise UsageError(
                f"{self.path}: this file system gives no locks ({why}); write the output elsewhere"
            ) from error
        self.segments = [] if fresh else self._load()
        self._drop_strangers()

    @property
    def frames(self) -> int:
        """How many frames the closed segments hold."""
        return sum(segment.frames for segment in self.segments)

    def add(self, segment: Segment) -> None:
        """Name one more closed segment. Its file is whole and on disk."""
        self.replace([*self.segments, segment])

    def replace(self, segments: list[Segment]) -> None:
        """Name these closed segments and no others."""
        self.segments = segments
        document = {"version": _VERSION, "job": self._job, "segments": [asdict(part) for part in self.segments]}
        written = self.path / (_MANIFEST + ".new")
        with written.open("w") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        written.replace(self.path / _MANIFEST)

    def remove(self) -> None:
        """Remove the folder and all in it."""
        self.release()
        shutil.rmtree(self.path, ignore_errors=True)

    def release(self) -> None:
        """Let go of the folder, leaving it for the next run; an empty one goes."""
        if self._lock is None:
            return
        if not self.segments:
            shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()
        self._lock = None

    def _load(self) -> list[Segment]:
        try:
            document = json.loads((self.path / _MANIFEST).read_text())
            if document["version"] != _VERSION or document["job"] != self._job:
                return []
            return _intact(self.path, [_segment(part) for part in document["segments"]])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return []

    def _drop_strangers(self) -> None:
        known = {segment.file for segment in self.segments} | {"lock"} | ({_MANIFEST} if self.segments else set())
        for path in self.path.iterdir():
            if path.name not in known and path.is_file():
                path.unlink(missing_ok=True)


def fingerprint(source: Path, **recipe: Any) -> str:
    """Return what identifies a job: the source file as it is now, and everything that decides the output's bytes."""
    state = source.stat()
    head = b""
    if source.is_file():
        with source.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    # A folder's own state changes with every output in it; what is read of it is part of the recipe.
    size, changed = (state.st_size, state.st_mtime_ns) if source.is_file() else (0, 0)
    facts = [str(source.resolve()), size, changed, sorted(recipe.items())]
    return hashlib.sha256(repr(facts).encode() + head).hexdigest()


def sink_error(output: Path, error: BaseException) -> SinkError:
    """Return the one line for an output that can no longer be written."""
    return SinkError(f"{output}: cannot be written ({getattr(error, 'strerror', None) or error})")


def _segment(part: dict[str, Any]) -> Segment:
    """Read one segment of a manifest. Raises what wrong fields lead to, `ValueError` for values there cannot be."""
    segment = Segment(**part)
    if type(segment.file) is not str or any(type(value) is not int for value in astuple(segment)[1:]):
        raise ValueError("a segment's fields are a file and whole numbers")
    if segment.frames < 1 or Path(segment.file).is_absolute() or ".." in Path(segment.file).parts:
        raise ValueError("a segment has frames, and lies in its folder")
    return segment


def _intact(folder: Path, segments: list[Segment]) -> list[Segment]:
    """Return the segments up to the first whose file is missing or of another size, or which leaves a gap."""
    kept: list[Segment] = []
    for segment in segments:
        path = folder / segment.file
        expected = kept[-1].first_seq + kept[-1].frames if kept else 0
        if segment.first_seq != expected or not path.is_file() or path.stat().st_size != segment.size_bytes:
            break
        kept.append(segment)
    return kept


def _require_writable(folder: Path) -> None:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder for the output; make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{folder}: the output folder is not writable")
