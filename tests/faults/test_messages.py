"""Messages come twice, late and out of order, and replies get lost: the output is the same, and live stays in order."""

import random
from pathlib import Path

import pytest

from pipeline.transport import Transport
from tests.faults.conftest import Film
from tests.faults.proxy import PASS, SCRIPTS, Command, Fate, Proxy
from tests.faults.stage import Stage, in_order, sum_holds

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

STYLE = "test-sleep-5"


class Meddler:
    """Each share of our commands has its fate; a seed decides which.

    `shuffled`: a frame with its ticket is answered for at once, and comes to the server up to 0.3 s later, twice.
    `lost`: the command is carried out, its reply is lost, its client asks again; the same claim not more than once,
    since a frame that three workers in turn never answer for is given up.
    """

    def __init__(
        self, seed: int, *, twice: float = 0.0, late: float = 0.0, shuffled: float = 0.0, lost: float = 0.0
    ) -> None:
        self._dice = random.Random(seed)
        self._twice, self._late, self._shuffled, self._lost = twice, late, shuffled, lost
        self._lost_claims: set[tuple[bytes, bytes]] = set()
        self.done = 0

    def __call__(self, command: Command) -> Fate:
        if not any(command.calls(script) for script in SCRIPTS):
            return PASS
        if command.calls("submit") and self._happens(self._shuffled):
            delays = tuple(self._dice.uniform(0.0, 0.3) for _ in range(2))
            return Fate(later_s=delays, answer=b":1\r\n")
        if self._happens(self._lost) and not (command.calls("claim") and command.frame in self._lost_claims):
            self._lost_claims.add(command.frame)
            return Fate(twice=True, first_reply=False)
        delay_s = self._dice.uniform(0.0, 0.05) if self._happens(self._late) else 0.0
        return Fate(delay_s=delay_s, twice=self._happens(self._twice))

    def _happens(self, share: float) -> bool:
        does = self._dice.random() < share
        self.done += does
        return does


@pytest.mark.parametrize(
    "meddle",
    [
        Meddler(1, twice=1.0),
        Meddler(2, late=0.3, shuffled=1.0),
        Meddler(3, twice=0.3, late=0.3, shuffled=0.3, lost=0.03),
    ],
    ids=["twice", "shuffled", "all, and replies lost"],
)
def test_messages_twice_late_and_shuffled_change_nothing(
    stage: Stage, proxy: Proxy, film: Film, tmp_path: Path, meddle: Meddler
) -> None:
    stage.work(STYLE, url=proxy.url)
    stage.live(film.loop, STYLE, url=proxy.url)
    watcher = stage.watcher()
    proxy.meddle = meddle
    job = stage.paint(film.path, STYLE, tmp_path / "out.mp4", url=proxy.url)
    assert job.end() == 0, job.said()
    assert film.is_whole_in(tmp_path / "out.mp4")
    stage.goes_on(watcher, 2)
    assert meddle.done > 30
    card = stage.card()
    assert card is not None
    assert sum_holds(card), card
    assert in_order([seq for _, seq in watcher.seen])


def test_a_place_asked_for_again_after_a_lost_reply_is_the_same_place(transport: Transport) -> None:
    assert transport.grant("wave", "cam", 0, 1)
    assert transport.grant("wave", "cam", 0, 1)
    assert not transport.grant("wave", "cam", 1, 1)
    assert not transport.grant("wave", "other", 0, 1)
