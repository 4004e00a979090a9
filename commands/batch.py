"""Runs the tasks of one `painter paint`: each style works through its sources, all styles at once, on one server.

Owns the jobs' threads. While they run, the main thread keeps what they need alive: workers and embedded server.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from commands.broker import Broker
from commands.job import PaintJob, Report
from commands.outputs import PaintTask
from commands.progress import Display
from pipeline.config import Settings
from pipeline.errors import PipelineError
from pipeline.frame import Look
from producer.source import open_source
from viewer.sink import VideoOptions, open_sink

log = logging.getLogger(__name__)

_TEND_S = 0.1


class Keeper(Protocol):
    """Something a batch needs alive; `poll` mends it or raises `PipelineError`."""

    def poll(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Options:
    """How all tasks of a batch are painted."""

    look: Look
    video: VideoOptions
    start_s: float | None = None
    end_s: float | None = None
    fresh: bool = False


class Batch:
    """The tasks of one command. `run` returns the reports; failures are shown and counted, and do not stop other tasks."""

    def __init__(self, broker: Broker, options: Options, settings: Settings, show: Display) -> None:
        self._broker, self._options, self._settings, self._show = broker, options, settings, show
        self._jobs: set[PaintJob] = set()
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

    def _lane(self, tasks: Sequence[PaintTask]) -> list[Report]:
        reports: list[Report] = []
        for task in tasks:
            if self._stopping:
                break
            try:
                reports.append(self._paint(task))
            except PipelineError as error:
                if not self._stopping:
                    self.failed += 1
                    self._show.end(task, f"{task.source.name} → {task.style}: {error}")
        return reports

    def _paint(self, task: PaintTask) -> Report:
        options = self._options
        with closing(open_source(task.source, start_s=options.start_s, end_s=options.end_s)) as source:
            sink = open_sink(
                task.source, task.output, source.info, look=options.look, style=task.style, video=options.video
            )
            with closing(sink):
                job = PaintJob(
                    source,
                    sink,
                    style=task.style,
                    look=options.look,
                    broker=(self._broker.transport, self._broker.app),
                    settings=self._settings,
                )
                self._show.begin(task, source.info.frames)
                seconds = self._run(job, sink.keep_partial, task)
                sink.finish()
                report = job.report(str(task.source), str(task.output), seconds)
                self._show.end(task, f"{task.output}: {report.frames} frames in {seconds:.1f} s, {report.fps:.1f} FPS")
                return report

    def _run(self, job: PaintJob, keep_partial: Callable[[], object], task: PaintTask) -> float:
        with self._lock:
            self._jobs.add(job)
            if self._stopping:
                job.stop()
        try:
            return job.run(lambda progress: self._show.update(task, progress))[1]
        except PipelineError:
            if not self._stopping and (kept := keep_partial()) is not None:
                self._show.say(f"what was painted is kept in {kept}")
            raise
        finally:
            with self._lock:
                self._jobs.discard(job)

    def _stop(self) -> None:
        with self._lock:
            self._stopping = True
            for job in self._jobs:
                job.stop()
