"""`painter work --follow-demand`: a slot of a style nobody waits for goes to one that somebody waits for.

Looks at the fleet once a second, and decides under the server's one turn for all launchers, so that two of them never
take the same style's last two workers. The rule itself is `fleet/rebalance.py`.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol
from uuid import uuid4

from fleet.rebalance import Memory, Need, choose, staffed
from fleet.stats import FleetStats, Snapshot, fleet_stats, runs_live, take_demand_snapshot
from pipeline.errors import NotAllowed, ServerFull, ServerGone, UsageError
from pipeline.protocol.records import Heartbeat, Rename
from pipeline.server.transport import MOVE_MS, Transport

log = logging.getLogger(__name__)

_LOOK_S = 1.0


class Movable(Protocol):
    """The part of a launcher that a follower needs."""

    @property
    def names(self) -> list[str]: ...
    def replacement_of(self, name: str, style: str, taken: Iterable[str]) -> str: ...
    def move(self, rename: Rename) -> None: ...


class Rebalancer:
    """Follows demand with one launcher's workers. Its owner calls `poll` often, from the launcher's own thread."""

    def __init__(
        self,
        transport: Transport,
        launcher: Movable,
        styles: Sequence[str],
        *,
        every_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`styles`: what may be served here. `every_s`: least time between two moves of this launcher."""
        self._transport, self._launcher, self._styles = transport, launcher, styles
        self._every_s, self._clock = every_s, clock
        self._token = uuid4().hex
        self._memory = Memory()
        self._before: Snapshot | None = None
        self._looked_s = self._moved_s = float("-inf")
        self._move: Rename | None = None

    def require_role(self) -> None:
        """Raise `UsageError` where the server's role for us does not know what following demand looks at."""
        try:
            take_demand_snapshot(self._transport, self._styles)
            self._transport.moves()
        except NotAllowed as error:
            raise UsageError(f"--follow-demand: {error}") from error

    def poll(self) -> Rename | None:
        """Look, if it is time, and begin and return a move where one helps. Waits only for the server."""
        now_s = self._clock()
        if now_s - self._looked_s < _LOOK_S:
            return None
        self._looked_s = now_s
        try:
            return self._look(now_s)
        except (ServerGone, ServerFull) as error:
            log.info("no look at the fleet: %s", error)
            return None

    def _look(self, now_s: float) -> Rename | None:
        now = take_demand_snapshot(self._transport, self._styles)
        before, self._before = self._before or now, now
        needs = self._memory.record(needs_of(fleet_stats(before, now), self._transport.moves()))
        if self._move is not None:
            self._await_replacement(self._move, now.workers, now_s)
        elif now_s - self._moved_s >= self._every_s and choose(needs, self._own(now.workers), self._styles):
            return self._take_turn(needs, now_s)
        return None

    def _take_turn(self, needs: Sequence[Need], now_s: float) -> Rename | None:
        if not self._transport.take_turn(self._token):
            return None
        rename = self._decide(needs)
        if not self._transport.end_turn(self._token, rename) or rename is None:
            return None
        self._launcher.move(rename)
        self._move, self._moved_s = rename, now_s
        return rename

    def _decide(self, needs: Sequence[Need]) -> Rename | None:
        """Choose with the numbers of workers as they are now that it is our turn: others may have moved some."""
        beats, moves = self._transport.workers(), self._transport.moves()
        styles = {beat.name: beat.style for beat in beats}
        there = staffed(styles, moves)
        move = choose([replace(need, workers=there[need.style]) for need in needs], self._own(beats), self._styles)
        if move is None:
            return None
        # The last one started is the first to go: a slot that stays as planned keeps its name.
        old = next(name for name in reversed(self._launcher.names) if styles.get(name) == move.giver)
        return Rename(old, self._launcher.replacement_of(old, move.taker, [*styles, *(rename.new for rename in moves)]))

    def _await_replacement(self, move: Rename, beats: Sequence[Heartbeat], now_s: float) -> None:
        names = {beat.name for beat in beats}
        if (move.new in names and move.old not in names) or now_s - self._moved_s > MOVE_MS / 1000:
            self._transport.end_move(move)
            self._move = None

    def _own(self, beats: Sequence[Heartbeat]) -> Counter[str]:
        """Count our own workers that are ready, by style."""
        ours = set(self._launcher.names)
        return Counter(beat.style for beat in beats if beat.name in ours)


def needs_of(seen: FleetStats, moves: Sequence[Rename]) -> list[Need]:
    """Return what each style has, counting moves under way, and could use."""
    there = staffed({beat.name: beat.style for beat in seen.workers}, moves)
    live = {line.card.style for line in seen.streams if runs_live(line.card)}
    return [Need(line.style, there[line.style], line.wanted, line.wanted, line.style in live) for line in seen.styles]
