"""One `painter paint` from its words to its outcomes: what is to be done, what is done already, and the doing.

A bad file costs that file: it is reported beside the others. Only what concerns all of them is raised.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from jobs.batch import Batch, sink_options
from jobs.inputs import OwnOutputs, gather, photos_of
from jobs.made import MadeRecord
from jobs.options import Options, open_input
from jobs.report import Display, Outcome, State
from jobs.supervisor import Supervisor
from jobs.tasks import Decision, PaintTask, decide, plan_tasks, require_writable, source_states
from pipeline.errors import PipelineError, UsageError
from pipeline.process.config import Settings
from viewer.pipe_sink import is_pipe
from viewer.sink import check_output, open_sink
from workers.local_workers import LocalWorkers
from workers.styles import Style, list_styles


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asks for. `output`: a file or a folder, None: beside each source."""

    words: Sequence[str]
    styles: Sequence[Style]
    output: Path | None
    is_folder: bool = False
    workers: int | None = None
    broker_url: str = ""


@dataclass(slots=True)
class Prepared:
    """What is to be painted, with its number of frames where known, and what of the request is over already."""

    todo: dict[PaintTask, int | None] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)


def prepare(request: Request, options: Options, settings: Settings, say: Callable[[str], object]) -> Prepared:
    """Find out what there is to do, and say what there is not. Raises `UsageError` for what concerns all of it."""
    own = OwnOutputs({style.label for style in (*list_styles(), *request.styles)})
    inputs = gather(request.words, own, say)
    prepared = Prepared()
    for word, why in inputs.refused.items():
        prepared.outcomes.append(_failed(PaintTask(Path(word), request.styles[0], Path()), UsageError(why), say))
    tasks = plan_tasks(
        inputs.sources,
        request.styles,
        request.output,
        is_folder=request.is_folder,
        photos_of=lambda folder: photos_of(folder, own),
    )
    records: dict[Path, MadeRecord] = {}
    totals: dict[Path, int | UsageError | None] = {}
    for task in tasks:
        if task.source not in totals:
            totals[task.source] = _frames(task, options, settings)
        if isinstance(fault := totals[task.source], UsageError):
            if len(totals) == len(tasks) == 1 and not inputs.refused:
                raise fault
            prepared.outcomes.append(_failed(task, fault, say))
            continue
        folder = task.output.parent
        record = records.setdefault(folder, MadeRecord(folder))
        _sort(prepared, task, fault, record, options, say)
    if len(tasks) == 1:
        for task in prepared.todo:
            if not is_pipe(task.output):
                _try_sink(task, options, settings)
    return prepared


def run(prepared: Prepared, request: Request, options: Options, settings: Settings, show: Display) -> list[Outcome]:
    """Paint what is to be painted; return what became of every file of the request."""
    tasks = list(prepared.todo)
    if not tasks:
        return prepared.outcomes
    with Supervisor() as parts:
        broker = parts.open_server(request.broker_url)
        # Mixes are painted by the workers of their first style.
        styles = list({task.style.name: task.style for task in tasks}.values())
        workers = parts.enter_context(LocalWorkers(broker, styles, request.workers, show.say))
        parts.watch(workers.poll)
        return [*prepared.outcomes, *Batch(broker, options, settings, show, workers.lost).run(tasks, parts)]


def _sort(
    prepared: Prepared,
    task: PaintTask,
    total: int | None,
    record: MadeRecord,
    options: Options,
    say: Callable[[str], object],
) -> None:
    """Put a task to what is to be done, or to what is over."""
    recipe = options.recipe(task.style, of_photos=task.noun == "photo")
    decision = Decision(task) if options.sink.fresh else decide(task, record, recipe)
    if decision.task is None:
        say(f"{task.output} {decision.why}")
        prepared.outcomes.append(Outcome(task, State.FINISHED, decision.why))
    else:
        if decision.why:
            again = "; it is painted again" if task.names is None else ""
            say(f"{task.output}: {decision.why}{again}")
        prepared.todo[decision.task] = total if decision.task.names is None else len(decision.task.names)


def _frames(task: PaintTask, options: Options, settings: Settings) -> int | UsageError | None:
    """Return how many frames a task has, None where nobody knows, or why it cannot be painted or written."""
    try:
        with closing(open_input(task.source, options, settings, task.names)) as source:
            if not is_pipe(task.output):
                require_writable(task.output)
            check_output(task.output, source.info, options.sink)
            return source.info.frames
    except UsageError as error:
        return error


def _try_sink(task: PaintTask, options: Options, settings: Settings) -> None:
    """Raise `UsageError` for an output that cannot be written, before a server is started for it."""
    with closing(open_input(task.source, options, settings, task.names)) as source:
        open_sink(task.source, task.output, source.info, sink_options(task, source_states(task), options)).close()


def _failed(task: PaintTask, error: PipelineError, say: Callable[[str], object]) -> Outcome:
    say(f"{task.label}: {error}")
    return Outcome(task, State.FAILED, str(error), error=error)
