"""A folder that is watched: which of its files are whole, new or changed, and where a bad one goes.

A file counts once its size and time have stood still for some seconds; what is painted stands in the record beside the
outputs, so a restart begins where the last run ended.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.inputs import OwnOutputs
from jobs.made import MadeRecord, state_of
from jobs.options import Options
from jobs.report import Outcome, State
from jobs.tasks import PaintTask, decide, output_name
from pipeline.errors import FrameFailed, SourceError, UsageError
from producer.source import is_photo, media_below
from workers.styles import Style

#: Below the folder: what could not be painted, each with its reason in a text beside it.
FAILED_FOLDER = "failed"
# What is the file's own fault; what a server or a worker did is tried again.
_ITS_OWN = (UsageError, SourceError, FrameFailed)
_AGAIN_S = 30.0


@dataclass(slots=True)
class _Seen:
    state: tuple[int, int]
    since_s: float
    due_s: float
    is_over: bool = False


class Inbox:
    """The files of `folder` on their way to `output`, which may lie in it; the folders below it are kept."""

    def __init__(
        self,
        folder: Path,
        output: Path,
        styles: Sequence[Style],
        options: Options,
        *,
        still_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._output, self._styles, self._options = folder, output, styles, options
        self._still_s, self._clock = still_s, clock
        self._own = OwnOutputs({style.label for style in styles})
        self._skipped = {output.resolve(), (folder / FAILED_FOLDER).resolve()}
        self._seen: dict[Path, _Seen] = {}
        # Which file an output's name belongs to.
        self._claimed: dict[Path, Path] = {}

    def due(self) -> list[PaintTask]:
        """Look at the folder; return what is to be painted now."""
        now_s = self._clock()
        present = {path: state for path in media_below(self._folder, self._is_left_out) if (state := state_of(path))}
        self._seen = {path: seen for path, seen in self._seen.items() if path in present}
        tasks: list[PaintTask] = []
        for path, state in present.items():
            seen = self._seen.get(path)
            if seen is None or seen.state != state:
                self._seen[path] = _Seen(state, now_s, now_s + self._still_s)
            elif not seen.is_over and now_s >= seen.due_s:
                todo = self._tasks(path)
                seen.is_over = not todo
                tasks += todo
        return tasks

    def settle(self, outcomes: Iterable[Outcome]) -> list[str]:
        """Take what became of tasks; return a line for each file that was moved aside."""
        lines = []
        for outcome in outcomes:
            path, seen = outcome.task.source, self._seen.get(outcome.task.source)
            if outcome.state is not State.FAILED or seen is None:
                continue
            if isinstance(outcome.error, _ITS_OWN) and path.exists():
                lines.append(self._move_aside(path, outcome.reason))
            else:
                seen.due_s = self._clock() + _AGAIN_S
        return lines

    def _is_left_out(self, path: Path) -> bool:
        return path.resolve() in self._skipped or self._own.source_of(path) is not None

    def _tasks(self, path: Path) -> list[PaintTask]:
        folder = self._output / path.parent.relative_to(self._folder)
        folder.mkdir(parents=True, exist_ok=True)
        record, noun = MadeRecord(folder), "photo" if is_photo(path) else "frame"
        tasks = []
        for style in self._styles:
            output = folder / output_name(path, style.label)
            made = record.find(output)
            if self._claimed.setdefault(output, Path(made.source) if made else path.resolve()) != path.resolve():
                # That of a.mov, beside a.mp4.
                output = output.with_name(f"{path.name}.{style.label}{output.suffix}")
            task = PaintTask(path, style, output, None, noun)
            decision = decide(task, record, self._options.recipe(style, of_photos=noun == "photo"))
            tasks += [decision.task] if decision.task is not None else []
        return tasks

    def _move_aside(self, path: Path, reason: str) -> str:
        aside = self._folder / FAILED_FOLDER
        aside.mkdir(exist_ok=True)
        target, number = aside / path.name, 1
        while target.exists():
            number += 1
            target = aside / f"{path.stem}-{number}{path.suffix}"
        shutil.move(path, target)
        target.with_name(f"{target.name}.txt").write_text(f"{reason}\n", "utf-8")
        return f"{path.name} is moved to {target}: {reason}"
