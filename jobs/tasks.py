"""What `painter paint` is to make: one task for each input and style, its output's name, and what is done already.

Everything that can be wrong is found here, before work begins.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.formats import photo_suffix
from producer.source import is_photo
from viewer.animation import is_numbered, numbered
from viewer.pipe_sink import is_pipe
from workers.styles import Style


@dataclass(frozen=True, slots=True)
class PaintTask:
    """Paint `source` in `style` to `output`."""

    source: Path
    style: Style
    output: Path

    @property
    def is_done(self) -> bool:
        """Whether the output is there, whole: nothing appears under its final name before it is."""
        if is_pipe(self.output):
            return False
        output = numbered(self.output, 1) if is_numbered(self.output) else self.output
        return output.exists()


def plan_tasks(sources: Sequence[Path], styles: Sequence[Style], output: Path | None) -> list[PaintTask]:
    """Return one task for each source and style. Raises `UsageError` for an output that cannot be written."""
    if output is not None and not _is_folder(output):
        if len(sources) * len(styles) > 1:
            raise UsageError(
                f"-o {output} names one file, but {len(sources) * len(styles)} are to be made; name a folder"
            )
        tasks = [PaintTask(sources[0], styles[0], output)]
    else:
        tasks = [
            PaintTask(source, style, (output or source.parent) / _name(source, style.name))
            for source in sources
            for style in styles
        ]
    _check(tasks)
    return tasks


def _is_folder(output: Path) -> bool:
    # Path() drops a trailing slash, so a name without a suffix that is not a file yet is taken for a folder.
    return not is_pipe(output) and (output.is_dir() or not output.suffix)


def _name(source: Path, style: str) -> str:
    if source.is_dir():
        return f"{source.resolve().name}.{style}"
    suffix = photo_suffix(source) if is_photo(source) else ".mp4"
    return f"{source.stem}.{style}{suffix}"


def _check(tasks: Sequence[PaintTask]) -> None:
    seen: dict[Path, Path] = {}
    for task in tasks:
        folder = task.output.parent
        if not folder.is_dir():
            raise UsageError(f"output folder {folder} is not there; make it first")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UsageError(f"output folder {folder} is not writable")
        if task.output.exists() and task.output.samefile(task.source):
            raise UsageError(f"{task.output} is the source itself; name another output with -o")
        if (other := seen.setdefault(task.output.resolve(), task.source)) != task.source:
            raise UsageError(f"{other} and {task.source} would both become {task.output}; paint them into two folders")
