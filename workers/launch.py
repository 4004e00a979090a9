"""The launcher: one Celery worker process for each slot of a plan, watched, restarted, and ended in order.

Every child is `painter celery worker` as a user could type it, told its slot through the environment. The kernel
ends it when we end, whatever ends us; so no worker is ever left behind. A slot whose worker cannot start or keeps dying
is out by itself: the other slots go on.
"""

import logging
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

from pipeline.errors import WorkerLost
from pipeline.flow.placement import Plan, Slot
from pipeline.process.spawn import painter, spawn
from pipeline.protocol.queues import queue_of
from pipeline.protocol.records import Heartbeat, Rename
from workers.child import Child, Process
from workers.exit_codes import EXIT_DRAINED

log = logging.getLogger(__name__)

# A worker finishes the frame it holds; after this it is ended, and the frame is painted elsewhere.
_GRACE_S = 10.0
_READY_POLL_S = 0.05


class WorkerList(Protocol):
    """The part of the transport that tells who serves."""

    def workers(self) -> list[Heartbeat]: ...


class Spawn(Protocol):
    """Starts a child: `pipeline.process.spawn.spawn`, or a test's own."""

    def __call__(
        self, argv: Sequence[str], *, env: Mapping[str, str], stdout: IO[bytes] | None, stderr: int | None
    ) -> Process: ...


class Launcher:
    """The workers of one plan on one machine. Owner: whoever calls `start`; it must call `stop` (or use `with`)."""

    def __init__(
        self,
        plan: Plan,
        broker_url: str,
        *,
        weights: Mapping[str, Path] | None = None,
        logs: Path | None = None,
        spawn: Spawn = spawn,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`weights`: files of styles that are in no folder. `logs`: folder of the children's output; None: our own."""
        self._plan = plan
        self._broker_url = broker_url
        self._weights = weights or {}
        self._logs = logs
        self._spawn = spawn
        self._clock = clock
        self._children: list[Child] = []
        #: Given one line for each slot that fails, once each time it does.
        self.on_failure: Callable[[str], object] = log.error

    @property
    def names(self) -> list[str]:
        """The node names of the workers."""
        return [child.name for child in self._children]

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers that run."""
        return [child.process.pid for child in self._children if child.process is not None]

    @property
    def is_drained(self) -> bool:
        """Whether every worker was told to leave, and has; slots that failed count as left."""
        left = [child for child in self._children if child.process is None and not child.failure]
        return bool(left) and all(child in left or child.is_final for child in self._children)

    @property
    def failures(self) -> dict[str, str]:
        """Styles none of whose slots works at present, and why."""
        working = {child.slot.style for child in self._children if not child.failure}
        return {child.slot.style: child.failure for child in self._children if child.slot.style not in working}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, beats: Sequence[Heartbeat] = ()) -> None:
        """Start every worker. `beats`: workers that run already, whose names are taken."""
        taken = {beat.name for beat in beats}
        for slot in self._plan.slots:
            name = _free_name(slot, taken)
            taken.add(name)
            child = self._prepare(slot, name)
            self._children.append(child)
            self._start(child)

    def replacement_of(self, name: str, style: str, taken: Iterable[str]) -> str:
        """Return what a worker of `style` in the slot of worker `name` would be called."""
        return _free_name(replace(self._child(name).slot, style=style), {*taken, *self.names})

    def move(self, rename: Rename) -> None:
        """Have the old worker finish what it holds and leave; then the new one (`replacement_of`) takes its slot."""
        child = self._child(rename.old)
        if child.process is not None and child.replacement is None:
            slot = replace(child.slot, style=rename.new.partition("@")[0])
            child.replacement = self._prepare(slot, rename.new)
            child.leave_by_s = self._clock() + _GRACE_S
            child.process.terminate()

    def wait_ready(self, transport: WorkerList, timeout_s: float = 60.0) -> None:
        """Wait until every worker takes tickets or has failed. Raises `WorkerLost` when none takes any."""
        deadline = self._clock() + timeout_s
        while missing := self._missing(transport):
            self.poll()
            if self._clock() > deadline:
                for child in missing:
                    self._give_up_waiting(child, timeout_s)
            time.sleep(_READY_POLL_S)
        if self._children and not self.pids:
            raise WorkerLost(self._children[0].failure)

    def poll(self) -> None:
        """Start dead workers again. Raises `WorkerLost` when no slot is left that could be tried again."""
        for at, child in enumerate(self._children):
            if child.process is None:
                if child.failure and self._clock() >= child.retry_s:
                    self._start(child)
                continue
            code = child.process.poll()
            if code is None:
                if child.replacement is not None and self._clock() > child.leave_by_s:
                    child.process.kill()
            elif code == EXIT_DRAINED:
                child.process = None
                log.info("worker=%s left, as it was told", child.name)
            elif child.replacement is not None:
                log.info("worker=%s makes room for worker=%s", child.name, child.replacement.name)
                self._children[at] = child.replacement
                self._start(child.replacement)
            else:
                self._restart(child, code)
        if self._children and all(child.is_final for child in self._children):
            raise WorkerLost(self._children[0].failure)

    def stop(self) -> None:
        """End all workers: each finishes the frame it holds, for at most ten seconds. Idempotent."""
        running = [child.process for child in self._children if child.process is not None]
        self._children.clear()
        for process in running:
            process.terminate()
        deadline = self._clock() + _GRACE_S
        for process in running:
            try:
                process.wait(max(0.0, deadline - self._clock()))
            except subprocess.TimeoutExpired:
                log.warning("pid=%d did not end in %.0f s; it is killed", process.pid, _GRACE_S)
                process.kill()
                process.wait()

    def _missing(self, transport: WorkerList) -> list[Child]:
        # By name and process: a name's last beat outlives a dead worker by up to 6 s.
        alive = {(beat.name, beat.pid) for beat in transport.workers()}
        return [c for c in self._children if c.process is not None and (c.name, c.process.pid) not in alive]

    def _give_up_waiting(self, child: Child, waited_s: float) -> None:
        if child.process is not None:
            child.process.kill()
            child.process.wait()
            child.process = None
        child.rest(f"worker {child.name} not ready after {waited_s:.0f} s", self._clock())
        self.on_failure(child.failure)

    def _child(self, name: str) -> Child:
        return next(child for child in self._children if child.name == name)

    def _prepare(self, slot: Slot, name: str) -> Child:
        logfile = self._logs / f"{name}.log" if self._logs else None
        if logfile:
            logfile.parent.mkdir(parents=True, exist_ok=True)
            logfile.unlink(missing_ok=True)
        return Child(slot, name, logfile)

    def _restart(self, child: Child, code: int) -> None:
        if child.died(code, self._clock()):
            log.warning("worker=%s ended with %d; starting it again", child.name, code)
            self._start(child)
        else:
            self.on_failure(child.failure)

    def _start(self, child: Child) -> None:
        child.failure = ""
        try:
            child.process = self._spawned(child)
        except OSError as error:
            child.rest(f"worker {child.name} cannot be started: {error}", self._clock())
            self.on_failure(child.failure)

    def _spawned(self, child: Child) -> Process:
        env = environment(child.slot, self._broker_url, self._weights.get(child.slot.style))
        argv = command(child.slot, child.name)
        if child.logfile is None:
            return self._spawn(argv, env=env, stdout=None, stderr=None)
        with child.logfile.open("ab") as output:
            return self._spawn(argv, env=env, stdout=output, stderr=subprocess.STDOUT)


def command(slot: Slot, name: str) -> list[str]:
    """Return the command line of a slot's worker."""
    return [
        *painter("celery", "worker"),
        *("-Q", queue_of(slot.style), "-n", name, "-P", "threads", "-c", str(slot.concurrency)),
        # Workers of a large fleet need not know one another; each pair would cost messages.
        *("--without-gossip", "--without-mingle", "--loglevel", "INFO"),
    ]


def environment(slot: Slot, broker_url: str, weights: Path | None) -> dict[str, str]:
    """Return the whole environment of a slot's worker: ours, and what makes it this slot's."""
    told = {
        "BROKER_URL": broker_url,
        "PAINTER_DEVICE": "cuda:0" if slot.device.is_gpu else "cpu",
        "PAINTER_THREADS": str(slot.threads),
        # A six.py in the folder we were started in is not what celery means by `import six`.
        "PYTHONSAFEPATH": "1",
    }
    if slot.device.is_gpu:
        # The child sees one GPU, hence always cuda:0.
        told["CUDA_VISIBLE_DEVICES"] = slot.device.visible
    if weights is not None:
        told["PAINTER_WEIGHTS"] = str(weights.resolve())
    return {**os.environ, **told}


def _free_name(slot: Slot, taken: set[str]) -> str:
    """Return `style@place.host`; where another launcher of this machine has it, the place gets a letter: cpu0b."""
    host = socket.gethostname()
    for suffix in ("", *"bcdefghijklmnopqrstuvwxyz"):
        if (name := f"{slot.style}@{slot.place}{suffix}.{host}") not in taken:
            return name
    return f"{slot.style}@{slot.place}-{os.getpid()}.{host}"
