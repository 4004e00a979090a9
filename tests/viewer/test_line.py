"""A page's line by a line of the test's own: capacity, trip and losses are known, time is counted, nothing sleeps."""

from collections import deque
from dataclasses import dataclass, field
from random import Random

import pytest

from viewer.web.line import MAX_BPS, MIN_BPS, Line, Receipt, Way

FPS = 24.0
PAINTED_BYTES = 170_000
KEY_BYTES = 40_000


@dataclass
class Simulated:
    """Sends 24 pictures a second through a first-in-first-out line as the page's delivery does; time is counted."""

    capacity_bps: float
    trip_s: float
    loss: float = 0.0
    held_s: float = 0.0
    asleep_s: float = 0.0
    line: Line = field(default_factory=Line)
    delays_s: list[float] = field(default_factory=list)
    ways: list[Way] = field(default_factory=list)
    now_s: float = 0.0
    _free_s: float = 0.0
    _last_s: float = 0.0
    _on_way: deque[tuple[float, float, int]] = field(default_factory=deque)
    _dice: Random = field(default_factory=lambda: Random(3))

    def run(self, seconds: float) -> None:
        self.line.pinged(self.now_s, self.trip_s)
        self.delays_s, self.ways = [], []
        for _ in range(round(seconds * FPS)):
            self.now_s += 1 / FPS
            self._answers()
            if len(self._on_way) < self.line.window(FPS, 2, 26):
                self._send()
            self.ways.append(self.line.way)

    def _send(self) -> None:
        size = PAINTED_BYTES if self.line.way is Way.PASS else round(self.line.rate_bps / 8 / FPS)
        self._free_s = max(self._free_s, self.now_s) + size * 8 / self.capacity_bps
        lost = -(-size // 1448) * self.loss > self._dice.random()
        arrived_s = self._free_s + self.trip_s + self.asleep_s + (0.25 if lost else 0.0)
        self._last_s = max(self._last_s, arrived_s)
        self._on_way.append((self._last_s + self.held_s, self.now_s, size))

    def _answers(self) -> None:
        while self._on_way and self._on_way[0][0] <= self.now_s:
            at_s, sent_s, size = self._on_way.popleft()
            self.line.acknowledged(Receipt(at_s, sent_s, self.held_s, size), PAINTED_BYTES * 8 * FPS, 1)
            self.delays_s.append(at_s - sent_s)

    def p95_s(self) -> float:
        return sorted(self.delays_s)[int(0.95 * len(self.delays_s))]


@pytest.mark.parametrize("trip_s", [0.0005, 0.05, 0.2], ids=["loopback", "50 ms", "200 ms"])
def test_pictures_pass_as_painted_where_they_fit(trip_s: float) -> None:
    page = Simulated(1e9, trip_s)
    page.run(20)
    assert set(page.ways) == {Way.PASS}
    assert len(page.delays_s) > 20 * FPS - 12, "the window covers the round trip"


@pytest.mark.parametrize(
    ("capacity_bps", "trip_s", "most_s"), [(8e6, 0.02, 0.25), (2e6, 0.06, 0.4), (1e6, 0.1, 0.5)], ids=["8", "2", "1"]
)
def test_a_thin_line_is_filled_and_its_delay_is_bounded(capacity_bps: float, trip_s: float, most_s: float) -> None:
    page = Simulated(capacity_bps, trip_s)
    page.run(5)
    page.run(20)
    assert set(page.ways) == {Way.CODED}
    assert 0.5 * capacity_bps <= page.line.rate_bps <= 1.2 * min(capacity_bps, MAX_BPS)
    assert page.p95_s() <= most_s
    assert len(page.delays_s) >= 0.9 * 20 * FPS


def test_the_rate_follows_a_line_that_becomes_thinner_and_wider_again() -> None:
    page = Simulated(8e6, 0.02)
    page.run(10)
    assert page.line.rate_bps > 3.5e6
    page.capacity_bps = 1e6
    page.run(4)
    page.run(6)
    assert MIN_BPS <= page.line.rate_bps < 1.2e6
    assert page.p95_s() < 0.5
    page.capacity_bps = 8e6
    page.run(15)
    assert page.line.rate_bps > 3.5e6


def test_a_line_that_becomes_wide_has_its_pictures_as_painted_again() -> None:
    page = Simulated(8e6, 0.02)
    page.run(10)
    assert page.line.way is Way.CODED
    page.capacity_bps = 1e9
    page.run(30)
    assert page.line.way is Way.PASS


def test_a_page_that_draws_slowly_is_no_thin_line() -> None:
    page = Simulated(1e9, 0.0005, held_s=0.3)
    page.run(20)
    assert set(page.ways) == {Way.PASS}


def test_a_machine_that_stands_still_is_tried_with_coded_pictures_for_a_moment_only() -> None:
    page = Simulated(1e9, 0.0005, asleep_s=0.4)
    page.run(60)
    assert page.ways.count(Way.CODED) < 0.25 * len(page.ways)


def test_one_lost_packet_does_not_halve_the_rate() -> None:
    page = Simulated(5e6, 0.04, loss=0.01)
    page.run(5)
    page.run(30)
    assert page.line.rate_bps > 1.5e6


def test_shortest_trip_is_forgotten_after_half_a_minute() -> None:
    line = Line()
    line.pinged(0.0, 0.02)
    line.pinged(1.0, 0.08)
    assert line.floor_s == 0.02
    line.pinged(31.0, 0.09)
    assert line.floor_s == 0.08
