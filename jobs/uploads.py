"""Files handed in through the page: queued, painted by the same code as `painter paint`, kept until fetched.

Owner of the uploads folder and of the threads that paint from it; `close` ends both. Nothing of an ended job stays.
"""

import logging
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import psutil

from jobs.batch import Batch
from jobs.options import Options, open_input
from jobs.report import Progress, State
from jobs.supervisor import Supervisor
from jobs.tasks import PaintTask
from pipeline.errors import Stopped, UsageError
from pipeline.formats import photo_suffix
from pipeline.process.config import Settings, cache_dir
from pipeline.protocol.frame import Look
from pipeline.server.broker import Broker
from producer.source import is_photo
from viewer.ports import JobState, JobStatus
from viewer.segments import SinkOptions
from workers.styles import find_style

log = logging.getLogger(__name__)

# Two of a style at once: one reads and writes while the other waits for its last frames. Of each style by itself, so
# that one whose workers are away keeps no other waiting.
_LANES = 2
# Finished jobs whose outputs are kept; the oldest goes first.
_KEPT = 32
_ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass(slots=True)
class _Job:
    card: JobStatus
    source: Path
    look: Look
    cancelled: threading.Event = field(default_factory=threading.Event)


class UploadQueue:
    """Paints uploads with a batch of one task each. Any thread may call it."""

    def __init__(self, broker: Broker, settings: Settings) -> None:
        self._broker, self._settings = broker, settings
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()
        self._pools: dict[str, ThreadPoolExecutor] = {}

    def submit(self, source: Path, name: str, style: str, look: Look, owner: str = "") -> str:
        """Queue `source`, alone in its folder, which is this queue's from now on. Raises `UsageError`."""
        find_style(style)
        try:
            open_input(source, Options(look, SinkOptions()), self._settings).close()
        except UsageError as error:
            raise UsageError(str(error).replace(str(source), name)) from error
        number = secrets.token_hex(8)
        job = _Job(JobStatus(number, name, style, JobState.WAITING, owner=owner), source, look)
        with self._lock:
            self._jobs[number] = job
            ended = [other for other in self._jobs.values() if other.card.state in _ENDED]
            pool = self._pools.setdefault(style, ThreadPoolExecutor(_LANES, thread_name_prefix=f"uploads-{style}"))
        for old in ended[:-_KEPT]:
            self.cancel(old.card.job)
        pool.submit(self._run, job)
        return number

    def jobs(self) -> list[JobStatus]:
        """Return all jobs, oldest first."""
        with self._lock:
            return [job.card for job in self._jobs.values()]

    def cancel(self, job: str) -> bool:
        """End a job and forget it; its files go as soon as nobody writes them. False: no such job."""
        with self._lock:
            found = self._jobs.pop(job, None)
            if found is None:
                return False
            found.cancelled.set()
            is_idle = found.card.state is not JobState.PAINTING
        if is_idle:
            _remove(found)
        return True

    def close(self) -> None:
        """Cancel everything and wait until nothing is painted; idempotent."""
        for card in self.jobs():
            self.cancel(card.job)
        for pool in list(self._pools.values()):
            pool.shutdown(cancel_futures=True)

    def _run(self, job: _Job) -> None:
        with self._lock:
            if job.cancelled.is_set():
                return
            job.card = replace(job.card, state=JobState.PAINTING)
        try:
            self._paint(job)
        except Stopped:
            log.info("job=%s cancelled", job.card.job)
        except Exception as error:
            log.exception("job=%s failed", job.card.job)
            self._change(job, state=JobState.FAILED, message=_for_user(f"a fault of ours: {error!r}", job))
        finally:
            with self._lock:
                is_wanted = job.card.state is JobState.DONE and not job.cancelled.is_set()
            job.source.unlink(missing_ok=True)
            if not is_wanted:
                _remove(job)

    def _paint(self, job: _Job) -> None:
        suffix = photo_suffix(job.source) if is_photo(job.source) else ".mp4"
        task = PaintTask(job.source, find_style(job.card.style), job.source.with_name(f"painted{suffix}"))
        batch = Batch(self._broker, Options(job.look, SinkOptions()), self._settings, _Show(self, job))
        supervisor = Supervisor()
        supervisor.watch(partial(_raise_if, job.cancelled))
        (outcome,) = batch.run([task], supervisor)
        if outcome.state is not State.FAILED:
            # What could not be read of a damaged file is said with it.
            self._change(job, state=JobState.DONE, output=task.output, message=_for_user(outcome.reason, job))
        else:
            self._change(job, state=JobState.FAILED)

    def _change(self, job: _Job, **changes: object) -> None:
        with self._lock:
            job.card = replace(job.card, **changes)  # type: ignore[arg-type]


class _Show:
    """Turns what a batch shows into the job's card."""

    def __init__(self, atelier: UploadQueue, job: _Job) -> None:
        self._change, self._job = atelier._change, job

    def begin(self, task: PaintTask, total: int | None) -> None:
        """Note how many frames there are."""
        self._change(self._job, total=total)

    def update(self, task: PaintTask, progress: Progress) -> None:
        """Note how far it is."""
        self._change(self._job, done=progress.done, total=progress.total, fps=progress.fps, message="")

    def end(self, task: PaintTask, text: str) -> None:
        """Note how it ended, in the user's name for the file and without our folders."""
        self._change(self._job, message=_for_user(text.removeprefix(f"{task.label}: "), self._job))

    def say(self, text: str) -> None:
        """Show what a job that waits is waiting for."""
        log.info("job=%s %s", self._job.card.job, text)
        self._change(self._job, message=_for_user(text.partition(": ")[2] or text, self._job))


def _raise_if(cancelled: threading.Event) -> None:
    if cancelled.is_set():
        raise Stopped("cancelled")


@contextmanager
def uploads_folder() -> Iterator[Path]:
    """Yield a folder of this process's own (0700), on a disk rather than in memory; what dead ones left is removed."""
    root = cache_dir() / "uploads"
    # Each by itself: `parents` makes folders as open as the umask leaves them.
    for folder in (root.parent, root):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in root.iterdir():
        if not (left.name.isdigit() and psutil.pid_exists(int(left.name))):
            shutil.rmtree(left, ignore_errors=True)
    folder = root / str(os.getpid())
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _for_user(text: str, job: _Job) -> str:
    """Return a text in the user's name for the file, without a path of this server."""
    output = job.source.with_name("painted")
    for ours, theirs in ((job.source, job.card.name), (output, "the painting"), (job.source.parent, "")):
        text = text.replace(str(ours), theirs)
    return text.replace(job.source.name, job.card.name)


def _remove(job: _Job) -> None:
    shutil.rmtree(job.source.parent, ignore_errors=True)
