"""Rebalancing as tables: who gives a slot to whom, and that it comes to rest."""

import random
from collections import Counter

import pytest

from fleet.rebalance import LOOKS, Memory, Move, Need, choose, staffed
from pipeline.protocol.records import Rename


def need(style: str, workers: int, wanted: int, *, live: bool = False) -> Need:
    """A style that has wanted the same for a while."""
    return Need(style, workers, wanted, wanted, live)


def chosen(*needs: Need, own: dict[str, int] | None = None, serves: str = "abc") -> Move | None:
    """The move where every worker is ours, unless told otherwise."""
    return choose(needs, {one.style: one.workers for one in needs} if own is None else own, serves)


@pytest.mark.parametrize(
    ("needs", "move"),
    [
        pytest.param([need("a", 1, 5), need("b", 1, 0)], Move("b", "a"), id="an idle style gives its last slot"),
        pytest.param([need("a", 2, 5), need("b", 0, 0)], None, id="one long file has the whole fleet"),
        pytest.param([need("a", 2, 2), need("b", 2, 0)], None, id="nobody waits"),
        pytest.param([need("a", 1, 5), need("b", 1, 1, live=True)], None, id="a live stream keeps its last worker"),
        pytest.param([need("a", 1, 5), need("b", 1, 0, live=True)], None, id="even one that asks for nothing just now"),
        pytest.param([need("a", 1, 5), need("b", 1, 3)], None, id="a file keeps its last worker"),
        pytest.param(
            [need("a", 1, 5), need("b", 3, 1, live=True)], Move("b", "a"), id="what it does not want is given"
        ),
        pytest.param([need("a", 1, 9), need("b", 3, 9)], Move("b", "a"), id="two long files share"),
        pytest.param([need("a", 2, 9), need("b", 3, 9)], None, id="an odd slot stays where it is"),
        pytest.param(
            [need("a", 0, 1), need("b", 2, 9)], Move("b", "a"), id="nobody goes without while another has two"
        ),
        pytest.param([need("a", 0, 1), need("b", 1, 9)], None, id="nobody takes another's last"),
        pytest.param([need("a", 1, 9), need("b", 4, 5), need("c", 1, 0)], Move("c", "a"), id="the idle give first"),
        pytest.param(
            [need("a", 1, 9), need("b", 0, 1), need("c", 1, 0)], Move("c", "b"), id="who has least takes first"
        ),
        pytest.param([need("d", 0, 5), need("b", 3, 0)], None, id="a style that is not served here"),
    ],
)
def test_a_slot_goes_where_somebody_waits(needs: list[Need], move: Move | None) -> None:
    assert chosen(*needs) == move


def test_a_machine_gives_its_own_workers_only() -> None:
    assert chosen(need("a", 1, 5), need("b", 3, 0), own={"a": 1}) is None
    assert chosen(need("a", 1, 5), need("b", 3, 0), own={"b": 1}) == Move("b", "a")


def test_a_want_counts_once_it_has_held_and_is_forgotten_slowly() -> None:
    memory = Memory()
    seen = [memory.record([need("a", 1, wanted)])[0] for wanted in [4, 4, 4, 0, 0, 0]]
    assert [one.least for one in seen] == [0, 0, 4, 0, 0, 0]
    assert [one.most for one in seen] == [4, 4, 4, 4, 4, 0]
    assert LOOKS == 3


def test_moves_under_way_count_as_done() -> None:
    there = {"a@cpu0.one": "a", "b@cpu1.one": "b", "b@cpu0.two": "b"}
    assert staffed(there, [Rename("b@cpu1.one", "a@cpu1.one")]) == {"a": 2, "b": 1}
    # The new worker is there already, the old one has gone.
    assert staffed({"a@cpu1.one": "a"}, [Rename("b@cpu1.one", "a@cpu1.one")]) == {"a": 1}


@pytest.mark.parametrize("seed", range(40))
def test_moves_come_to_rest_and_leave_nobody_without(seed: int) -> None:
    random_ = random.Random(seed)
    styles = "abcde"[: random_.randint(2, 5)]
    workers = Counter({style: random_.randint(0, 6) for style in styles})
    slots = workers.total()
    wanted = {style: random_.choice([0, 0, 1, 2, 5, 40]) for style in styles}
    live = {style for style in styles if wanted[style] and random_.random() < 0.5}
    for _ in range(100):
        needs = [need(style, workers[style], wanted[style], live=style in live) for style in styles]
        move = choose(needs, workers, styles)
        if move is None:
            break
        workers[move.giver] -= 1
        workers[move.taker] += 1
        assert workers[move.giver] >= (wanted[move.giver] > 0)
    else:
        pytest.fail("it never came to rest")
    assert workers.total() == slots
    waiting = [style for style in styles if wanted[style]]
    if slots >= len(waiting):
        assert all(workers[style] for style in waiting)
    short = [style for style in waiting if workers[style] < wanted[style]]
    spare = [style for style in styles if workers[style] > max(wanted[style], 0)]
    assert not (short and spare), "somebody waits beside a slot nobody wants"
