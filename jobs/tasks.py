"""What `painter paint` is to make: one task for each input and style, its output's name, and what is done already.

Everything that can be wrong with a name is found here, before work begins.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jobs.made import MadeRecord, state_of, what_changed
from pipeline.errors import UsageError
from pipeline.formats import photo_suffix
from producer.source import is_photo
from viewer.photo_sink import painted_name
from viewer.pipe_sink import is_pipe
from workers.styles import Style

# What a file system takes of one name, and what is put behind an output's while it is made.
_MAX_NAME_BYTES = 255
_LONGEST_ENDING = ".partial.parts"


@dataclass(frozen=True, slots=True)
class PaintTask:
    """Paint `source` in `style` to `output`. `names`: of a folder, the photos to paint; `noun`: what is counted."""

    source: Path
    style: Style
    output: Path
    names: tuple[str, ...] | None = None
    noun: str = "frame"

    @property
    def label(self) -> str:
        """What the task is called in front of users."""
        return f"{self.source.name or self.source} → {self.style.label}"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a task has anything to do. `task` is None where not; `why`: in words for the user, "" for a new one."""

    task: PaintTask | None
    why: str = ""


def plan_tasks(
    sources: Sequence[Path],
    styles: Sequence[Style],
    output: Path | None,
    *,
    is_folder: bool = False,
    photos_of: Callable[[Path], Sequence[str]] = lambda folder: (),
) -> list[PaintTask]:
    """Return one task for each source and style. Raises `UsageError` for an output that cannot be written.

    `is_folder`: `output` is a folder, there or not. `photos_of`: the photos of a folder that are to be painted.
    """
    photos = {source: tuple(photos_of(source)) for source in sources if source.is_dir()}
    nouns = {source: "photo" if source in photos or is_photo(source) else "frame" for source in sources}
    if output is not None and not (is_folder or _is_folder(output)):
        if len(sources) * len(styles) > 1:
            raise UsageError(
                f"-o {output} names one file, but {len(sources) * len(styles)} are to be made; name a folder"
            )
        named = [(sources[0], styles[0], output)]
    else:
        if output is not None:
            _make_folder(output)
        named = [
            (source, style, (output or source.parent) / output_name(source, style.label))
            for source in sources
            for style in styles
        ]
    tasks = [PaintTask(source, style, made, photos.get(source), nouns[source]) for source, style, made in named]
    _check(tasks)
    return tasks


def decide(task: PaintTask, record: MadeRecord, recipe: Mapping[str, Any]) -> Decision:
    """Say whether `task` is done: its output is there, made from the same. A folder is looked at photo by photo."""
    if is_pipe(task.output) or state_of(task.output) is None:
        return Decision(task)
    made = record.find(task.output)
    if task.names is not None:
        return _decide_folder(task, record, recipe)
    if made is None:
        return Decision(None, "is there, and not known to be of this kind; --fresh paints it again")
    changes = [what_changed(made, recipe), "the source has changed" if made.files != source_states(task) else ""]
    why = ", ".join(filter(None, changes))
    damage = "".join(f", but {reason}" for *_, reason in made.failed.values())
    return Decision(task if why else None, why or f"is finished{damage}")


def source_states(task: PaintTask) -> dict[str, tuple[int, int]]:
    """Return the state of what a task reads: of each of its photos by name, or of its one file."""
    if task.names is None:
        return {"": state_of(task.source) or (0, 0)}
    return {name: state_of(task.source / name) or (0, 0) for name in task.names}


def _decide_folder(task: PaintTask, record: MadeRecord, recipe: Mapping[str, Any]) -> Decision:
    made = record.find(task.output)
    states = source_states(task)
    if made is None:
        todo = [name for name in states if not (task.output / painted_name(name)).exists()]
        known = f"{len(states) - len(todo)} photos are there already"
    elif changed := what_changed(made, recipe):
        return Decision(task, changed)
    else:
        # One that could not be read is tried again once it has changed.
        kept = {name: state for name, state in made.files.items() if (task.output / painted_name(name)).exists()}
        kept |= {name: found[:2] for name, found in made.failed.items()}
        todo = [name for name, state in states.items() if kept.get(name) != state]
        known = f"{len(states) - len(todo)} photos are as they were"
    if not todo:
        failed = len(made.failed) if made else 0
        return Decision(None, "is finished" + (f", but for {failed} that could not be read" if failed else ""))
    return Decision(replace(task, names=tuple(todo)), f"{len(todo)} new or changed, {known}")


def _is_folder(output: Path) -> bool:
    # A name without a suffix that is not a file yet is taken for a folder.
    return not is_pipe(output) and (output.is_dir() or not output.suffix)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"output folder {folder} cannot be made ({error.strerror})") from error


def output_name(source: Path, style: str) -> str:
    """Return what the painting of `source` is called unless the user names it."""
    if source.is_dir():
        return f"{source.resolve().name}.{style}"
    suffix = photo_suffix(source) if is_photo(source) else ".mp4"
    return f"{source.stem}.{style}{suffix}"


def require_writable(output: Path) -> None:
    """Raise `UsageError` for an output that cannot be: its name is too long, or its folder takes no file."""
    folder = output.parent
    if len(os.fsencode(output.name + _LONGEST_ENDING)) > _MAX_NAME_BYTES:
        most = _MAX_NAME_BYTES - len(_LONGEST_ENDING)
        raise UsageError(f"{output.name[:40]}…: the name is too long; {most} bytes can be, name it with -o")
    if not folder.is_dir():
        raise UsageError(f"output folder {folder} is not there; make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"output folder {folder} is not writable")


def _check(tasks: Sequence[PaintTask]) -> None:
    """Raise `UsageError` where two outputs, or an output and its source, would be one file."""
    seen: dict[str, Path] = {}
    for task in tasks:
        if os.path.exists(task.output) and task.output.samefile(task.source):
            raise UsageError(f"{task.output} is the source itself; name another output with -o")
        if (other := seen.setdefault(os.path.realpath(task.output), task.source)) != task.source:
            raise UsageError(f"{other} and {task.source} would both become {task.output}; paint them into two folders")
