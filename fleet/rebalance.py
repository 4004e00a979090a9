"""Which style gives a worker's slot to which, when demand has moved since the placement was planned.

Pure: numbers of one look at the fleet in, one move or none out. Invariants: a style somebody waits for keeps its last
worker, a move is worth more to the taker than to the giver, and no two moves undo each other.
"""

from collections import Counter, deque
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.protocol.records import Rename

# A want must hold for so many looks (a second each): rates jump by a frame or two from look to look.
LOOKS = 3


@dataclass(frozen=True, slots=True)
class Need:
    """One style's workers beside what it could use. `least`, `most`: of its last looks.

    `is_live`: it has a live stream. Nothing at all waits for a style that wants none.
    """

    style: str
    workers: int
    least: int
    most: int
    is_live: bool = False

    @property
    def spare(self) -> int:
        """How many workers the style could go without before somebody waits for ever."""
        return self.workers - (1 if self.most > 0 or self.is_live else 0)


@dataclass(frozen=True, slots=True)
class Move:
    """One worker of `giver` ends, one of `taker` starts in its slot."""

    giver: str
    taker: str


class Memory:
    """What each style wanted over the last looks. One owner, which calls `record` once a look."""

    def __init__(self, looks: int = LOOKS) -> None:
        self._looks = looks
        self._wanted: dict[str, deque[int]] = {}

    def record(self, needs: Iterable[Need]) -> list[Need]:
        """Take in one look's needs and return them with `least` and `most` over the last looks.

        A style seen for fewer looks has wanted nothing before.
        """
        return [self._with_memory(need) for need in needs]

    def _with_memory(self, need: Need) -> Need:
        wanted = self._wanted.setdefault(need.style, deque([0] * self._looks, maxlen=self._looks))
        wanted.append(need.most)
        return replace(need, least=min(wanted), most=max(wanted))


def staffed(styles: Mapping[str, str], moves: Iterable[Rename]) -> Counter[str]:
    """Return how many workers each style has once the moves under way are done. `styles`: of the workers, by name."""
    after = dict(styles)
    for move in moves:
        after.pop(move.old, None)
        after.setdefault(move.new, move.new.partition("@")[0])
    return Counter(after.values())


def choose(needs: Sequence[Need], own: Mapping[str, int], serves: Container[str]) -> Move | None:
    """Return the move that helps most, None where all is well or nothing can be done.

    `own`: workers this machine could end, by style; `serves`: styles it could start.
    """
    takers = [need for need in needs if need.style in serves and need.least > need.workers]
    # Who has least goes first; among equals who could use most.
    for taker in sorted(takers, key=lambda need: (need.workers, -need.least, need.style)):
        givers = [need for need in needs if own.get(need.style, 0) > 0 and _may_give(need, taker)]
        if givers:
            giver = max(givers, key=lambda need: (need.most == 0, need.workers - need.most, need.workers, need.style))
            return Move(giver.style, taker.style)
    return None


def _may_give(giver: Need, taker: Need) -> bool:
    if giver.style == taker.style or giver.spare < 1:
        return False
    # It has more than it wants; or both want more, and it stays at least as well off as the other.
    return giver.workers > giver.most or giver.workers - taker.workers >= 2
