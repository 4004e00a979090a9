"""Runs the tasks of one `painter paint`: each style works through its sources, all styles at once, on one server.

Owns the jobs' threads. While they run, the main thread keeps what they need alive: workers and embedded server.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from jobs.made import FileState, Made, MadeRecord, state_of
from jobs.options import Options, open_input
from jobs.paint_job import PaintJob
from jobs.report import Display, Outcome, State, counted, rate
from jobs.scaled_film import ScaledFilm
from jobs.supervisor import Supervisor
from jobs.tasks import PaintTask, source_states
from jobs.temporal import TemporalSmoother
from pipeline.errors import PhotosUnreadable, PipelineError, Stopped, WorkerLost
from pipeline.process.config import Settings
from pipeline.server.broker import Broker
from producer.source import Source
from viewer.pipe_sink import is_pipe
from viewer.segments import SinkOptions
from viewer.sink import Sink, open_sink

log = logging.getLogger(__name__)


class Batch:
    """The tasks of one command. A task that fails is shown and reported, and does not stop the others."""

    def __init__(
        self,
        broker: Broker,
        options: Options,
        settings: Settings,
        show: Display,
        lost: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """`lost`: tells which styles have lost their workers for good, and why."""
        self._broker, self._options, self._settings, self._show = broker, options, settings, show
        self._lost = lost
        self._jobs: dict[PaintJob, str] = {}
        self._records: dict[Path, MadeRecord] = {}
        self._lock = threading.Lock()
        self._stopping = False

    def run(self, tasks: Sequence[PaintTask], supervisor: Supervisor) -> list[Outcome]:
        """Paint all tasks; return what became of each. Raises what a poll raises, after a clean stop of all jobs."""
        styles = list(dict.fromkeys(task.style for task in tasks))
        with ThreadPoolExecutor(len(styles), thread_name_prefix="style") as pool:
            lanes = [pool.submit(self._lane, [t for t in tasks if t.style == style]) for style in styles]
            try:
                supervisor.watch(self._fail_lost)
                supervisor.run(partial(_all_done, lanes))
            except BaseException:
                self._stop()
                raise
            return [outcome for lane in lanes for outcome in lane.result()]

    def _fail_lost(self) -> None:
        """End the jobs of styles whose workers cannot be brought back."""
        if lost := self._lost():
            with self._lock:
                for job, style in self._jobs.items():
                    if style in lost:
                        job.fail(WorkerLost(lost[style]))

    def _lane(self, tasks: Sequence[PaintTask]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for task in tasks:
            if self._stopping:
                break
            try:
                outcomes.append(self._paint(task))
            except Stopped:
                self._show.end(task, f"{task.label}: stopped; the same command goes on")
            except PipelineError as error:
                if not self._stopping:
                    outcomes.append(Outcome(task, State.FAILED, str(error), error=error))
                    self._show.end(task, f"{task.label}: {error}")
        return outcomes

    def _paint(self, task: PaintTask) -> Outcome:
        options = self._options
        # As they are now: what changes while it is painted is painted again by the next run.
        states = source_states(task)
        with (
            closing(open_input(task.source, options, self._settings, task.names)) as source,
            closing(open_sink(task.source, task.output, source.info, sink_options(task, states, options))) as sink,
        ):
            job = self._job(task, source, sink)
            self._show.begin(task, source.info.frames)
            self._say_all(task.label, sink)
            with self._listed(job, task.style.name):
                seconds = self._run(job, sink, task)
            self._say_all(task.label, sink)
        if not is_pipe(task.output):
            self._note(task, states, job.damage)
        report = job.report(str(task.source), str(task.output), seconds)
        done = f"{task.output}: {counted(report.frames, task.noun)} in {seconds:.1f} s, {rate(report.fps, task.noun)}"
        if job.damage is None:
            self._show.end(task, done)
            return Outcome(task, State.PAINTED, report=report)
        self._show.end(task, f"{done}; {job.damage}")
        return Outcome(task, State.DAMAGED, str(job.damage), report=report, error=job.damage)

    def _job(self, task: PaintTask, source: Source, sink: Sink) -> PaintJob:
        look = task.style.mixed_look(self._options.look)
        if isinstance(source, ScaledFilm):
            sink, look = source.sink_for(sink), task.style.mixed_look(source.sent_look)
        job = PaintJob(
            source,
            sink,
            style=task.style.name,
            look=look,
            broker=self._broker,
            settings=self._settings,
            smoother=TemporalSmoother(look) if self._options.is_smoothed(source.info) else None,
        )
        job.on_absence = lambda why: self._show.say(f"{task.label}: {why}")
        return job

    def _run(self, job: PaintJob, sink: Sink, task: PaintTask) -> float:
        """Paint and write; return the seconds painting took. What was painted is kept, whichever of the two fails."""
        try:
            frames, seconds = job.run(lambda progress: self._show.update(task, progress))
            if frames or sink.next_seq() or job.damage is None:
                sink.finish()
            elif not task.output.is_dir():
                raise job.damage
        except Stopped:
            raise
        except PipelineError:
            if not self._stopping and (kept := sink.keep_partial()) is not None:
                self._add(Made(kept.name, str(task.source.resolve()), {}, {}, state_of(kept) or (0, 0), {}, True), kept)
                self._show.say(f"what was painted is kept in {kept}")
            raise
        return seconds

    def _note(self, task: PaintTask, states: Mapping[str, FileState], damage: PipelineError | None) -> None:
        """Note what the output was made from, and remove what an earlier run kept of it."""
        record = self._record(task.output)
        recipe = self._options.recipe(task.style, of_photos=task.noun == "photo")
        before = record.find(task.output)
        reasons: Mapping[str, str] = damage.reasons if isinstance(damage, PhotosUnreadable) else {}
        files = {name: state for name, state in states.items() if name not in reasons}
        if damage is not None and task.names is None:
            # It is painted as far as it goes: nothing more comes of it until it changes.
            files, reasons = dict(states), {"": str(damage)}
        failed = {name: (*states[name], why) for name, why in reasons.items()}
        if before is not None and task.names is not None and before.recipe == recipe:
            files = {**before.files, **files}
            failed = {**{name: why for name, why in before.failed.items() if name not in states}, **failed}
        state = state_of(task.output) or (0, 0)
        self._add(Made(task.output.name, str(task.source.resolve()), recipe, files, state, failed), task.output)
        partial = task.output.with_name(f"{task.output.stem}.partial{task.output.suffix}")
        if task.names is None and (left := record.find(partial)) is not None and left.is_partial:
            with suppress(OSError):
                partial.unlink()

    def _add(self, made: Made, output: Path) -> None:
        record = self._record(output)
        with self._lock:
            record.add(made)

    def _record(self, output: Path) -> MadeRecord:
        with self._lock:
            folder = output.parent.resolve()
            return self._records.setdefault(folder, MadeRecord(folder))

    def _say_all(self, label: str, sink: Sink) -> None:
        for line in sink.take_notices():
            self._show.say(f"{label}: {line}")

    @contextmanager
    def _listed(self, job: PaintJob, style: str) -> Iterator[None]:
        """Have `_stop` and the loss of its workers reach the job until its output is there."""
        with self._lock:
            self._jobs[job] = style
            if self._stopping:
                job.stop()
        try:
            yield
        finally:
            with self._lock:
                del self._jobs[job]

    def _stop(self) -> None:
        with self._lock:
            self._stopping = True
            for job in self._jobs:
                job.stop()


def sink_options(task: PaintTask, states: Mapping[str, FileState], options: Options) -> SinkOptions:
    """Return how a task is written. `states`: what it reads; an interrupted run goes on only from the same."""
    return replace(options.sink, painting=f"{options.painting(task.style)}{_photos(task, states)}")


def _photos(task: PaintTask, states: Mapping[str, FileState]) -> str:
    """Name the photos of a folder as they are now: an interrupted run goes on only with the same ones."""
    if task.names is None:
        return ""
    return f" photos {hashlib.sha256(repr(sorted(states.items())).encode(errors='surrogateescape')).hexdigest()}"


def _all_done(lanes: Sequence[Future[list[Outcome]]], seconds: float) -> bool:
    return not wait(lanes, seconds).not_done
