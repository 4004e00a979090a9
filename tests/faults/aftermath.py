"""What must hold when a storm is over: viewers' sums, nothing left running, no file, no key."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from pipeline.server.connection import open_client
from tests.faults.stage import Command, Stage, in_order, sum_holds

# Streams without a producer and their frames expire within this.
_EXPIRY_S = 75


class Aftermath:
    """Looks at a stage, the live streams on it by name, and the folder of its files."""

    def __init__(self, stage: Stage, lives: Mapping[str, Command], folder: Path) -> None:
        self._stage, self._lives, self._folder = stage, lives, folder

    def require_viewers_sum(self) -> None:
        """From rest to rest: what a viewer counted is what was painted, and the newest picture when it joined."""
        before = self._at_rest()
        watchers = {name: self._stage.watcher(name) for name in self._lives}
        self._to_all(signal.SIGCONT)
        self._stage.wait_s(3)
        after = self._at_rest()
        for name, watcher in watchers.items():
            self._stage.wait(lambda watcher=watcher: watcher.is_up_to_date(), "the last picture", 5)
            counted = watcher.watch.counters()
            assert counted.painted == after[name] - before[name] + 1, (name, counted, before, after)
        self._to_all(signal.SIGCONT)

    def _at_rest(self) -> dict[str, int]:
        """Freeze the producers until nothing is in flight; return what was painted of each stream."""
        self._to_all(signal.SIGSTOP)
        # What they sent just before may still be at the door.
        self._stage.wait_s(0.3)
        painted = {}
        for name in self._lives:

            def rests(name: str = name) -> bool:
                card = self._stage.card(name)
                return card is not None and card.in_flight == 0

            self._stage.wait(rests, f"{name} to rest", 10)
            card = self._stage.card(name)
            assert card is not None
            assert sum_holds(card), card
            painted[name] = card.painted
        return painted

    def _to_all(self, signum: int) -> None:
        for live in self._lives.values():
            live.send(signum)

    def require_nothing_left(self) -> None:
        # While workers live: tickets of those that were killed come back to be found without a frame.
        self._require_no_keys(("worker",), _EXPIRY_S)
        for command in self._stage.commands:
            if command.is_running():
                command.send(signal.SIGTERM)
        for command in self._stage.commands:
            command.end(30)
        self._stage.wait(lambda: not self._processes(), "every process to end", 10)
        self._require_no_keys((), 10)
        assert list(self._folder.glob("*.parts")) == []
        assert [path for path in self._stage.folder.rglob("*.sock") if str(path) not in self._stage.server.url] == []
        assert list((self._stage.folder / "tmp").glob("*")) == []

    def _require_no_keys(self, but: tuple[str, ...], within_s: float) -> None:
        end_s = time.monotonic() + within_s
        while (left := [key for key in self._keys() if not key.startswith(but or "-")]) and time.monotonic() < end_s:
            # Whoever asks forgets the dead.
            self._stage.transport.workers()
            self._stage.transport.streams()
            time.sleep(0.5)
        assert left == [], f"keys left: {sorted(left)}"

    def _processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                ours = process.environ().get("XDG_RUNTIME_DIR") == os.environ["XDG_RUNTIME_DIR"]
                if ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return [process for process in found if process.pid != self._stage.server.pid]

    def _keys(self) -> Iterator[str]:
        """Keys of ours, Celery's bindings and its own book-keeping left out."""
        with open_client(self._stage.server.url) as client:
            for raw in client.keys("*"):
                key = raw.decode()
                if not key.startswith(("_kombu.binding", "unacked_mutex", "celeryev")):
                    yield key


def in_order_between_starts(seqs: list[int]) -> bool:
    """Whether pictures are in order but for producers that were started again, which count from 0."""
    runs: list[list[int]] = [[]]
    for seq in seqs:
        if runs[-1] and seq <= runs[-1][-1] and seq < 60:
            runs.append([])
        runs[-1].append(seq)
    return all(in_order(run) for run in runs)
