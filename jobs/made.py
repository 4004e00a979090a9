"""What each output was made from, in a hidden file beside the outputs: one JSON line for each, the last one counts.

So the next run paints what is new or changed and nothing else, and takes no output for a source. An output that is not
as it was written any more is somebody else's: nothing is known of it.
"""

import fcntl
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from viewer.animation import is_among, is_numbered, numbered

log = logging.getLogger(__name__)

RECORD_NAME = ".painted.jsonl"
# A record with so many lines for each output is written anew.
_LINES_PER_OUTPUT = 4

#: Size in bytes and time of the last change in ns: two takes of one camera differ in one of them.
FileState = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Made:
    """One output. `source`: its absolute path. `recipe`: style, look and cut, where they are not the defaults.

    `files`: the state of what was painted, by name ("" for a single file). `failed`: photos of a folder that could not
    be read, with their reasons. `state`: the output's own, (0, 0) for a folder.
    """

    output: str
    source: str
    recipe: Mapping[str, Any]
    files: Mapping[str, FileState]
    state: FileState
    failed: Mapping[str, tuple[int, int, str]] = field(default_factory=dict)
    is_partial: bool = False


class MadeRecord:
    """The record of one folder. It is read once; other processes may add to it meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / RECORD_NAME
        self._made, self._lines = _read(self._path)

    def find(self, output: Path) -> Made | None:
        """Return what `output` was made from; None where that is not known, or it has been changed since."""
        made = self._made.get(output.name)
        return made if made is not None and made.state == state_of(output) else None

    def owner(self, path: Path) -> Made | None:
        """Return what `path` was painted with: an output of its name, or one of numbered pictures it is among."""
        if (made := self.find(path)) is not None:
            return made
        patterns = (name for name in self._made if "%" in name and is_numbered(Path(name)))
        return next((self._made[name] for name in patterns if is_among(path, path.with_name(name))), None)

    def add(self, made: Made) -> None:
        """Note an output. A folder that takes no file costs the note, not the output."""
        self._made[made.output] = made
        try:
            with self._path.open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.write(json.dumps(asdict(made)) + "\n")
            self._lines += 1
            if self._lines > _LINES_PER_OUTPUT * len(self._made) + 100:
                self._rewrite()
        except OSError as error:
            log.warning("%s cannot be written (%s): the next run does not know what is painted", self._path, error)

    def _rewrite(self) -> None:
        with self._path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            made = _parse(file.read())
            file.seek(0)
            file.writelines(json.dumps(asdict(one)) + "\n" for one in made.values())
            file.truncate()
        self._lines = len(made)


def state_of(path: Path) -> FileState | None:
    """Return the state of a file, (0, 0) for a folder, of numbered pictures the first one's; None for nothing there."""
    try:
        found = (numbered(path, 1) if is_numbered(path) else path).stat()
    except OSError:
        return None
    return (0, 0) if path.is_dir() else (found.st_size, found.st_mtime_ns)


def what_changed(made: Made, recipe: Mapping[str, Any]) -> str:
    """Say in what the recipe of an output differs from the present one, "" for in nothing."""
    names = sorted(name for name in {*made.recipe, *recipe} if made.recipe.get(name) != recipe.get(name))
    words = [_WORDS.get(name, f"another {name.replace('_', ' ')}") for name in names]
    return ", ".join(dict.fromkeys(words))


_WORDS = {"style": "other weights of the style", "start_s": "another cut", "end_s": "another cut",
          "is_steady": "--no-steady", "keep_colours": "--keep-colours"}  # fmt: skip


def _read(path: Path) -> tuple[dict[str, Made], int]:
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError):
        return {}, 0
    return _parse(text), text.count("\n")


def _parse(text: str) -> dict[str, Made]:
    """Read a record; lines that are none of ours are left out."""
    found: dict[str, Made] = {}
    for line in text.splitlines():
        try:
            made = _made(json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            continue
        found[made.output] = made
    return found


def _made(fields: dict[str, Any]) -> Made:
    return Made(
        output=str(fields["output"]),
        source=str(fields["source"]),
        recipe=dict(fields["recipe"]),
        files={str(name): (int(size), int(ns)) for name, (size, ns) in fields["files"].items()},
        state=(int(fields["state"][0]), int(fields["state"][1])),
        failed={str(name): (int(size), int(ns), str(why)) for name, (size, ns, why) in fields["failed"].items()},
        is_partial=bool(fields["is_partial"]),
    )
