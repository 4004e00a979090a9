"""Runs the tasks of one `painter paint`: each style works through its sources, all styles at once, on one server.

Owns the jobs' threads. While they run, the main thread keeps what they need alive: workers and embedded server.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from jobs.paint_job import PaintJob
from jobs.report import Display, Report, counted
from jobs.tasks import PaintTask
from jobs.temporal import TemporalSmoother
from pipeline.errors import PipelineError, Stopped, WorkerLost
from pipeline.process.config import Settings
from pipeline.protocol.frame import Look, StreamInfo
from pipeline.server.broker import Broker
from producer.source import Source, open_source
from viewer.segments import SinkOptions
from viewer.sink import Sink, open_sink
from workers.styles import Style

log = logging.getLogger(__name__)

_TEND_S = 0.1


class Keeper(Protocol):
    """Something a batch needs alive; `poll` mends it or raises `PipelineError`."""

    def poll(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Options:
    """How all tasks of a batch are painted and written. `steady`: whether videos are painted without their noise, and
    their strokes held together."""

    look: Look
    sink: SinkOptions
    steady: bool = True

    @property
    def is_steady(self) -> bool:
        """Whether noise is taken out; at strength 0 the source is to come through as it is."""
        return self.steady and self.look.strength > 0

    def smoother(self, info: StreamInfo) -> TemporalSmoother | None:
        """Return what holds a video's strokes together; None for photos."""
        return TemporalSmoother(self.look) if self.is_steady and info.width else None

    def painting(self, style: Style) -> str:
        """Name what is painted: a job that was interrupted goes on only where that is the same."""
        # An older version held no strokes together: its half of a film is not gone on from.
        return f"{_digest(style)} {self.look} {'held together' if self.is_steady else 'as filmed'}"


def open_input(path: Path, options: Options, settings: Settings) -> Source:
    """Open one source as this batch reads it. Raises `UsageError`."""
    cut = options.sink
    return open_source(
        path, start_s=cut.start_s, end_s=cut.end_s, max_pixels=settings.max_pixels, steady=options.is_steady
    )


class Batch:
    """The tasks of one command. A task that fails is shown and counted, and does not stop the others."""

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
        self._lock = threading.Lock()
        self._stopping = False
        self.failed = 0

    def run(self, tasks: Sequence[PaintTask], keepers: Sequence[Keeper]) -> list[Report]:
        """Paint all tasks. Raises what a keeper raises, after a clean stop of all jobs."""
        styles = list(dict.fromkeys(task.style for task in tasks))
        with ThreadPoolExecutor(len(styles), thread_name_prefix="style") as pool:
            lanes = [pool.submit(self._lane, [t for t in tasks if t.style == style]) for style in styles]
            try:
                self._tend(lanes, keepers)
            except BaseException:
                self._stop()
                raise
            return [report for lane in lanes for report in lane.result()]

    def _tend(self, lanes: Sequence[Future[list[Report]]], keepers: Sequence[Keeper]) -> None:
        pending: set[Future[list[Report]]] = set(lanes)
        while pending:
            _, pending = wait(pending, _TEND_S, FIRST_COMPLETED)
            for keeper in keepers:
                keeper.poll()
            if lost := self._lost():
                with self._lock:
                    for job, style in self._jobs.items():
                        if style in lost:
                            job.fail(WorkerLost(lost[style]))

    def _lane(self, tasks: Sequence[PaintTask]) -> list[Report]:
        reports: list[Report] = []
        for task in tasks:
            if self._stopping:
                break
            try:
                reports.append(self._paint(task))
            except Stopped:
                self._show.end(task, f"{task.source.name} → {task.style.name}: stopped; the same command goes on")
            except PipelineError as error:
                if not self._stopping:
                    self.failed += 1
                    self._show.end(task, f"{task.source.name} → {task.style.name}: {error}")
        return reports

    def _paint(self, task: PaintTask) -> Report:
        options = self._options
        sink_options = replace(options.sink, painting=options.painting(task.style))
        with (
            closing(open_input(task.source, options, self._settings)) as source,
            closing(open_sink(task.source, task.output, source.info, sink_options)) as sink,
        ):
            job = PaintJob(
                source,
                sink,
                style=task.style.name,
                look=options.look,
                broker=self._broker,
                settings=self._settings,
                smoother=options.smoother(source.info),
            )
            label = f"{task.source.name} → {task.style.name}"
            job.on_absence = lambda why: self._show.say(f"{label}: {why}")
            self._show.begin(task, source.info.frames)
            self._say_all(label, sink)
            with self._listed(job, task.style.name):
                seconds = self._run(job, sink, task)
            self._say_all(label, sink)
        report = job.report(str(task.source), str(task.output), seconds)
        frames = counted(report.frames, "frame")
        self._show.end(task, f"{task.output}: {frames} in {seconds:.1f} s, {report.fps:.1f} FPS")
        return report

    def _run(self, job: PaintJob, sink: Sink, task: PaintTask) -> float:
        """Paint and write; return the seconds painting took. What was painted is kept, whichever of the two fails."""
        try:
            seconds = job.run(lambda progress: self._show.update(task, progress))[1]
            sink.finish()
        except Stopped:
            raise
        except PipelineError:
            if not self._stopping and (kept := sink.keep_partial()) is not None:
                self._show.say(f"what was painted is kept in {kept}")
            raise
        return seconds

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


def _digest(style: Style) -> str:
    """Name a style by what it paints with: new weights under an old name must not go on with an old job."""
    weights = style.torch_file or style.export
    return f"{style.name} {hashlib.sha256(weights.read_bytes()).hexdigest()[:16] if weights else ''}"
