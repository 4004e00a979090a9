"""The size of a live stream: down when the workers are too slow, back when they are not, and no to and fro."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from producer.adapt import SCALES, Pace, Seen, fitted, step

HELD, SLOW, HALF = Seen(30, 24), Seen(30, 20), Seen(30, 6)


def run(pace: Pace, *periods: Seen, target_fps: float = 24) -> Pace:
    for seen in periods:
        pace = step(pace, seen, target_fps)
    return pace


def play(
    capacity: Callable[[int, int], float], periods: int, *, source_fps: float = 30, target_fps: float = 24
) -> list[int]:
    """Return the levels over time of workers that paint `capacity(level, period)` frames a second at most."""
    pace, levels = Pace(), []
    for period in range(periods):
        painted = min(source_fps, capacity(pace.level, period))
        pace = step(pace, Seen(source_fps, painted), target_fps)
        levels.append(pace.level)
    return levels


def changes(levels: list[int]) -> int:
    return sum(one != other for one, other in pairwise(levels))


@pytest.mark.parametrize(
    ("periods", "level"),
    [
        ([HELD] * 20, 0),
        ([SLOW], 0),
        ([SLOW, HELD, SLOW, HELD], 0),
        ([SLOW, SLOW], 1),
        ([HALF, HALF], 3),
        ([Seen(30, 0.5)] * 2, len(SCALES) - 1),
        ([Seen(30, 0)] * 20, 0),
        ([Seen(0, 0)] * 20, 0),
        ([Seen(12, 12)] * 20, 0),
        ([Seen(12, 8)] * 2, 1),
        ([SLOW, Seen(30, 0), SLOW], 0),
    ],
    ids=[
        "held",
        "one slow period is none",
        "slow now and then",
        "slow twice",
        "half as large at a quarter of the rate",
        "as small as it gets",
        "nobody paints",
        "nobody films",
        "all a slow source gives is enough",
        "less than a slow source gives is not",
        "a worker that came back begins anew",
    ],
)
def test_size_after_periods(periods: list[Seen], level: int) -> None:
    assert run(Pace(), *periods).level == level


def test_frames_of_the_old_size_are_not_held_against_the_new_one() -> None:
    changed = run(Pace(), SLOW, SLOW)
    better = Seen(30, 22.2)
    assert run(changed, better, better).level == 1
    assert run(changed, better, better, better).level == 2


def test_where_smaller_does_not_help_it_takes_ever_longer_to_try_smaller_still() -> None:
    levels = play(lambda level, _: 15.0, 100)
    assert [levels.count(level) for level in (1, 2, 3, 4)] == [6, 11, 21, 41]


def test_with_room_to_spare_it_grows_soon_and_without_it_only_after_a_while() -> None:
    small = Pace(level=2)
    assert run(small, *[Seen(50, 50)] * 2).level == 1
    assert run(small, *[HELD] * 4).level == 2
    assert run(small, *[HELD] * 5).level == 1


def test_a_try_that_fails_makes_the_next_wait_longer_until_one_holds() -> None:
    tried = run(Pace(level=2), *[HELD] * 5)
    back = run(tried, HELD, SLOW, SLOW)
    assert (back.level, back.patience) == (2, 10)
    again = run(back, HELD, *[HELD] * 10)
    assert again.level == 1
    assert run(again, *[HELD] * 4).patience == 5


@pytest.mark.parametrize("full_fps", [3.0, 6.0, 9.5, 13.0, 16.0, 19.0, 22.0, 30.0])
def test_it_settles_where_the_rate_is_held_and_seldom_tries_elsewhere(full_fps: float) -> None:
    def capacity(level: int, _: int) -> float:
        return full_fps / SCALES[level] ** 2

    levels = play(capacity, 900)  # half an hour
    best = next(level for level in range(len(SCALES)) if capacity(level, 0) >= 0.93 * 24)
    assert max(set(levels), key=levels.count) == best
    assert levels.count(best) / len(levels) > 0.9
    assert changes(levels[300:]) <= 10


def test_it_comes_back_to_full_size_when_the_load_goes() -> None:
    levels = play(lambda level, period: (8.0 if period < 50 else 40.0) / SCALES[level] ** 2, 150)
    assert levels[49] >= 3
    assert levels[-1] == 0


@pytest.mark.parametrize(
    ("size", "bounds", "level", "painted"),
    [
        ((1280, 720), None, 0, (1280, 720)),
        ((1280, 720), (640, 480), 0, (640, 360)),
        ((640, 360), (1280, 720), 0, (640, 360)),
        ((1280, 720), (640, 480), 3, (320, 180)),
        ((720, 1280), (640, 640), 0, (360, 640)),
        ((320, 180), None, 6, (171, 96)),
        ((64, 48), None, 6, (64, 48)),
    ],
    ids=["as it is", "bounded", "never larger", "bounded and smaller", "upright", "not too small", "small already"],
)
def test_painted_size(
    size: tuple[int, int], bounds: tuple[int, int] | None, level: int, painted: tuple[int, int]
) -> None:
    assert fitted(*size, bounds, level) == painted
