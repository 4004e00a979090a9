"""A seeded storm: everything that can be broken is, in turn, under files and three live streams; then sums are done.

`make chaos SEED=7 MINUTES=10`, or a minute of it as a test. Whatever the seed: every file is whole, every live frame
has one fate, every viewer's pictures are in order, and at the end nothing is left. Raises `AssertionError` otherwise.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import redis

from pipeline.errors import PipelineError
from pipeline.server.connection import open_client
from tests.faults.aftermath import Aftermath, in_order_between_starts
from tests.faults.conftest import numbers
from tests.faults.meddler import Meddler
from tests.faults.proxy import PASS, Proxy
from tests.faults.stage import Command, Stage, Watcher, sum_holds
from tests.media import Clip, make_clip, pts_of

_STYLES = ("test-sleep-15", "test-identity")
_CAMS = ("cam0", "cam1", "cam2")
_FRAMES = 400
# A slot whose worker dies five times in a minute is given up, as it should be; the storm leaves it alone for so long.
_SPARE_S = 16.0


class Chaos:
    """One storm over one stage."""

    def __init__(self, stage: Stage, proxy: Proxy, seed: int) -> None:
        self._stage, self._proxy, self._dice = stage, proxy, random.Random(seed)
        self._seed = seed
        self.done: Counter[str] = Counter()
        self.files = self.frames = 0
        folder = stage.folder / "storm"
        folder.mkdir()
        self._folder = folder
        self._clip = make_clip(folder / "film.mp4", Clip(frames=_FRAMES))
        self._loop = make_clip(folder / "loop.mp4", Clip(frames=50))
        self._lives: dict[str, Command] = {}
        self._aftermath = Aftermath(stage, self._lives, folder)
        self._job: Command | None = None
        self._watchers: list[Watcher] = []
        self._killed_s: dict[int, float] = {}
        self._undo: list[tuple[float, Callable[[], object]]] = []

    def run(self, seconds: float) -> None:
        """Raise the storm for so long, let it settle, and require the invariants."""
        for style in _STYLES:
            self._stage.work(style, 2, url=self._proxy.url)
        for number, name in enumerate(_CAMS):
            self._lives[name] = self._film(name, number)
            self._watchers.append(self._stage.watcher(name))
        end_s = time.monotonic() + seconds
        next_s = 0.0
        while (now_s := time.monotonic()) < end_s:
            self._tend(now_s)
            if now_s >= next_s:
                next_s = now_s + self._dice.uniform(1.0, 5.0)
                self._strike()
            time.sleep(0.05)
        self._settle()

    # -- what breaks -------------------------------------------------------------------------------------------

    def _strike(self) -> None:
        faults = (
            *(self._kill_worker,) * 3,
            *(self._freeze_worker,) * 2,
            *(self._meddle,) * 2,
            self._kill_server,
            self._freeze_server,
            self._fill_server,
            self._kill_live,
            self._kill_file,
            self._interrupt_file,
            self._change_viewers,
        )
        fault = self._dice.choice(faults)
        if fault():
            self.done[fault.__name__.strip("_").replace("_", " ")] += 1

    def _kill_worker(self) -> bool:
        return self._with_worker(lambda pid: os.kill(pid, signal.SIGKILL))

    def _freeze_worker(self) -> bool:
        """Longer than its lease: the frame goes to another, and comes twice."""

        def freeze(pid: int) -> None:
            os.kill(pid, signal.SIGSTOP)
            self._later(self._dice.uniform(0.5, 4.0), lambda: os.kill(pid, signal.SIGCONT))

        return self._with_worker(freeze)

    def _with_worker(self, strike: Callable[[int], object]) -> bool:
        now_s = time.monotonic()
        pids = self._stage.worker_pids(self._dice.choice(_STYLES))
        if len(pids) < 2 or now_s - max(self._killed_s.values(), default=0.0) < _SPARE_S / 4:
            return False
        pid = self._dice.choice(pids)
        self._killed_s[pid] = now_s
        strike(pid)
        return True

    def _kill_server(self) -> bool:
        return self._with_server(signal.SIGKILL)

    def _freeze_server(self) -> bool:
        pid = self._stage.server.pid
        self._later(self._dice.uniform(0.5, 10.0), lambda: pid and os.kill(pid, signal.SIGCONT))
        return self._with_server(signal.SIGSTOP)

    def _with_server(self, signum: int) -> bool:
        assert self._stage.server.pid is not None
        os.kill(self._stage.server.pid, signum)
        return True

    def _fill_server(self) -> bool:
        with suppress(redis.RedisError), open_client(self._stage.server.url, timeout_s=1.0, retries=0) as client:
            size = 1 << 20
            while size > 64:
                try:
                    client.set(f"ballast{self._dice.random()}", b"x" * size)
                except redis.OutOfMemoryError:
                    size //= 2
            self._later(self._dice.uniform(0.5, 3.0), self._drop_ballast)
            return True
        return False

    def _drop_ballast(self) -> None:
        with open_client(self._stage.server.url) as client:
            for key in client.scan_iter("ballast*"):
                client.delete(key)

    def _meddle(self) -> bool:
        share = self._dice.uniform(0.05, 0.4)
        self._proxy.meddle = Meddler(self._dice.randrange(1 << 30), twice=share, late=share, shuffled=share, lost=0.01)
        self._later(self._dice.uniform(1.0, 4.0), lambda: setattr(self._proxy, "meddle", lambda command: PASS))
        return True

    def _kill_live(self) -> bool:
        name = self._dice.choice(_CAMS)
        self._lives[name].send(signal.SIGKILL)
        return True

    def _kill_file(self) -> bool:
        return self._with_file(signal.SIGKILL)

    def _interrupt_file(self) -> bool:
        return self._with_file(signal.SIGINT)

    def _with_file(self, signum: int) -> bool:
        # One that has said nothing yet is still importing; Ctrl-C then is Python's own affair.
        if self._job is None or not self._job.is_running() or not self._job.said():
            return False
        self._job.send(signum)
        return True

    def _change_viewers(self) -> bool:
        watcher = self._watchers.pop(self._dice.randrange(len(self._watchers)))
        assert in_order_between_starts([seq for _, seq in watcher.seen])
        self._stage.dismiss(watcher)
        self._watchers.append(self._stage.watcher_now(watcher.watch.stream))
        return True

    # -- what is mended ----------------------------------------------------------------------------------------

    def _tend(self, now_s: float) -> None:
        self._stage.server.poll()
        for at_s, undo in [item for item in self._undo if item[0] <= now_s]:
            self._undo.remove((at_s, undo))
            with suppress(ProcessLookupError, redis.RedisError):
                undo()
        for number, name in enumerate(_CAMS):
            if not self._lives[name].is_running():
                self._lives[name] = self._film(name, number)
        if self._job is None or not self._job.is_running():
            self._job = self._paint(self._job)

    def _film(self, name: str, number: int) -> Command:
        words = ("live", "--file", self._loop, "--loop", "-s", _STYLES[number % 2], "--name", name)
        return self._stage.run(*words, "--broker", self._proxy.url)

    def _paint(self, before: Command | None) -> Command:
        """Go on with the file, or begin the next one when it is done."""
        if before is not None and before.end() == 0:
            self._check_file(before)
        output = self._folder / f"out{self.files}.mp4"
        return self._stage.paint(self._clip, _STYLES[0], output, url=self._proxy.url, PAINTER_SEGMENT_FRAMES="24")

    def _check_file(self, job: Command) -> None:
        output = self._folder / f"out{self.files}.mp4"
        assert numbers(output) == [n % 16 for n in range(_FRAMES)], output
        assert pts_of(output) == pts_of(self._clip), output
        self.files += 1
        self.frames += _FRAMES
        output.unlink()

    def _later(self, after_s: float, undo: Callable[[], object]) -> None:
        self._undo.append((time.monotonic() + after_s, undo))

    # -- what must hold ----------------------------------------------------------------------------------------

    def _settle(self) -> None:
        self._tend(float("inf"))
        self._proxy.meddle = lambda command: PASS
        self._finish_file()
        for name in _CAMS:
            self._stage.wait(lambda name=name: self._flows(name), f"{name} to flow again", 30)
        self._aftermath.require_viewers_sum()
        for watcher in self._watchers:
            assert in_order_between_starts([seq for _, seq in watcher.seen])
        for name in _CAMS:
            self._lives[name].send(signal.SIGINT)
            assert self._lives[name].end(30) == 130, self._lives[name].said()
        for command in self._stage.commands:
            said = command.said()
            assert "Traceback" not in said, said[max(0, said.index("Traceback") - 500) :][:3000]
        self._aftermath.require_nothing_left()

    def _finish_file(self) -> None:
        """Run the file to its end; a job that was struck last goes on."""
        for _ in range(4):
            assert self._job is not None
            if self._job.end(180) == 0:
                self._check_file(self._job)
                return
            self.done["file started again at the end"] += 1
            self._job = self._paint(self._job)
        raise AssertionError(self._job.said() if self._job else "no job")

    def _flows(self, name: str) -> bool:
        self._tend_lives()
        card = self._stage.card(name)
        return card is not None and card.age_s < 2 and sum_holds(card) and card.painted > 20

    def _tend_lives(self) -> None:
        for number, name in enumerate(_CAMS):
            if not self._lives[name].is_running():
                self._lives[name] = self._film(name, number)


def storm(folder: Path, seed: int, seconds: float) -> Chaos:
    """Run one storm below `folder`."""
    (folder / "tmp").mkdir()
    os.environ["TMPDIR"] = str(folder / "tmp")
    stage = Stage(folder)
    proxy = Proxy(stage.server.url)
    chaos = Chaos(stage, proxy, seed)
    try:
        chaos.run(seconds)
    finally:
        proxy.meddle = lambda command: PASS
        with suppress(ProcessLookupError, PipelineError):
            if stage.server.pid is not None:
                os.kill(stage.server.pid, signal.SIGCONT)
        stage.close()
        proxy.close()
    return chaos


def main() -> None:
    """`python -m tests.faults.chaos --seed 7 --minutes 10`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1000))
    parser.add_argument("--minutes", type=float, default=10)
    said = parser.parse_args()
    sys.stdout.write(f"seed {said.seed}, {said.minutes:g} minutes\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        chaos = storm(Path(folder), said.seed, said.minutes * 60)
    told = {"seed": said.seed, "faults": chaos.done, "files": chaos.files, "frames": chaos.frames}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
