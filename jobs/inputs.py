"""Which files a command paints: what its words name, without the outputs of earlier commands, and what is wrong.

Invariant: nothing that `painter paint` made is taken for a source, unless it is named by itself.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobs.made import RECORD_NAME, MadeRecord
from pipeline.errors import UsageError
from pipeline.formats import is_readable
from producer.source import expand, photos_below

# So many outputs that are left out are named.
_NAMED = 3


class OwnOutputs:
    """Tells what was painted: the records beside outputs know, and names do where there is no record."""

    def __init__(self, styles: Collection[str]) -> None:
        names = "|".join(re.escape(style) for style in sorted(styles, key=len, reverse=True)) or "(?!)"
        # `clip.wave.mp4`, `clip.wave.partial.mp4`, `clip.wave.preview.png`, and the folders `album.wave`,
        # `album.wave.partial`.
        self._name = re.compile(rf"(?P<stem>.+)\.(?:{names})(?:\.partial|\.preview)?(?P<suffix>\.\w+)?(?:\.partial)?")
        self._records: dict[Path, MadeRecord | None] = {}

    def source_of(self, path: Path) -> str | None:
        """Return the absolute path of what `path` was painted from, None for a file that is no output."""
        folder = path.parent.resolve()
        if folder not in self._records:
            self._records[folder] = MadeRecord(folder) if (folder / RECORD_NAME).exists() else None
        record = self._records[folder]
        if record is not None and (made := record.owner(path)) is not None:
            return made.source
        return self._by_name(path, folder)

    def _by_name(self, path: Path, folder: Path) -> str | None:
        found = self._name.fullmatch(path.name)
        if found is None or bool(found["suffix"]) == path.is_dir():
            return None
        stem = found["stem"]
        if path.is_dir():
            return str(folder / stem) if (folder / stem).is_dir() else None
        beside = (one for one in folder.glob(f"{_literal(stem)}.*") if one.stem == stem and one != path)
        return next((str(one.resolve()) for one in beside if is_readable(one) and one.is_file()), None)


@dataclass(slots=True)
class Inputs:
    """What is to be painted, and which words name nothing that could be, each with the reason."""

    sources: list[Path] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def gather(words: Sequence[str], own: OwnOutputs, say: Callable[[str], object]) -> Inputs:
    """Return what `words` name. Raises `UsageError` where that is nothing at all."""
    left_out: list[Path] = []

    def is_own(path: Path) -> bool:
        if own.source_of(path) is None:
            return False
        left_out.append(path)
        return True

    inputs = Inputs()
    found = expand(words, say, is_own, inputs.refused)
    # A pattern that the shell expanded comes as names.
    sources = {str(path.resolve()) for path in found}
    for path in found:
        source = own.source_of(path)
        (inputs.sources if source not in sources - {str(path.resolve())} else left_out).append(path)
    if left_out:
        more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
        say(f"left out what was painted before: {', '.join(path.name for path in left_out[:_NAMED])}{more}")
    if not inputs.sources:
        raise UsageError(next(iter(inputs.refused.values()), "nothing to paint: name a video, a photo or a folder"))
    return inputs


def photos_of(folder: Path, own: OwnOutputs) -> list[str]:
    """Return the photos of a folder that are to be painted, as paths within it."""
    return list(photos_below(folder, lambda path: own.source_of(path) is not None))


def _literal(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)
