"""How large a live stream is painted so that the workers hold a wished rate: smaller when they do not, and back.

Pure: one look at the last period in, the next state out. Going down needs two slow periods; going up needs either room
to spare or patience, which doubles each time a try fails, so a load at the edge of two sizes does not flicker. Where
smaller did not help, something else is slow, and the size stays.
"""

from dataclasses import dataclass, replace

#: Share of the source's width and height at each level; each has about two thirds of the pixels of the one before.
SCALES = (1.0, 0.8, 0.65, 0.5, 0.4, 0.32, 0.25)
#: A period long enough to count frames in, short enough to act in.
PERIOD_S = 2.0

# Below this share of the goal the workers do not hold it; a frame more or less in a period is no reason.
_HELD = 0.93
# Room to spare: the next larger size would hold the goal even if painting cost all of its pixels more.
_SPARE = 1.05
_SLOW_PERIODS = 2
# A smaller size that did not bring this much more was not what the workers needed.
_HELPED = 1.1
# After a change frames of the old size are still on their way.
_SETTLE_PERIODS = 1
# A larger size that held this long is good.
_PROOF_PERIODS = 3
_PATIENCE, _MOST_PATIENCE = 5, 160
# The smallest side worth painting: below it brush strokes are larger than faces.
_SMALLEST_PX = 96


@dataclass(frozen=True, slots=True)
class Seen:
    """What one period showed, in frames a second."""

    captured_fps: float
    painted_fps: float


@dataclass(frozen=True, slots=True)
class Pace:
    """Where the rule stands. `level` is an index of `SCALES`; periods are counted since the last change.

    `larger_fps`: what was painted before the last step down, 0 once that step has proved right.
    """

    level: int = 0
    slow: int = 0
    steady: int = 0
    settling: int = 0
    patience: int = _PATIENCE
    is_trying: bool = False
    larger_fps: float = 0.0


def step(pace: Pace, seen: Seen, target_fps: float) -> Pace:
    """Return the state after a period. The goal is `target_fps`, or all the source gives where that is less."""
    if seen.captured_fps <= 0 or seen.painted_fps <= 0:
        return replace(pace, slow=0, steady=0)  # nobody films, or nobody paints: size is not what is wrong
    if pace.settling:
        return replace(pace, settling=pace.settling - 1)
    goal_fps = min(target_fps, seen.captured_fps)
    if seen.painted_fps < _HELD * goal_fps:
        return _slower(pace, seen.painted_fps, goal_fps)
    return _steady(pace, seen.painted_fps, goal_fps)


def fitted(width: int, height: int, bounds: tuple[int, int] | None, level: int = 0) -> tuple[int, int]:
    """Return the size a `width`×`height` picture is painted at: within `bounds`, in its shape, never larger.

    `level` is one of `SCALES`; they stop where the shorter side would fall below 96 pixels.
    """
    scale = 1.0 if bounds is None else min(1.0, bounds[0] / width, bounds[1] / height)
    smallest = min(1.0, _SMALLEST_PX / (min(width, height) * scale))
    scale *= max(SCALES[level], smallest)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _slower(pace: Pace, painted_fps: float, goal_fps: float) -> Pace:
    slow = pace.slow + 1
    did_help = painted_fps >= _HELPED * pace.larger_fps
    if slow < (_SLOW_PERIODS if did_help else pace.patience) or pace.level == len(SCALES) - 1:
        return replace(pace, slow=slow, steady=0)
    level = pace.level + 1
    while level < len(SCALES) - 1 and painted_fps * _area_ratio(pace.level, level) < _HELD * goal_fps:
        level += 1
    patience = pace.patience
    if pace.is_trying or not did_help:
        patience = min(2 * patience, _MOST_PATIENCE)
    return Pace(level, settling=_SETTLE_PERIODS, patience=patience, larger_fps=painted_fps)


def _steady(pace: Pace, painted_fps: float, goal_fps: float) -> Pace:
    steady = pace.steady + 1
    if pace.is_trying and steady >= _PROOF_PERIODS:
        return replace(pace, slow=0, steady=steady, is_trying=False, patience=_PATIENCE, larger_fps=0.0)
    has_room = pace.level > 0 and painted_fps * _area_ratio(pace.level, pace.level - 1) >= _SPARE * goal_fps
    wait = _SLOW_PERIODS if has_room else pace.patience
    if pace.level > 0 and steady >= wait and not pace.is_trying:
        return Pace(pace.level - 1, settling=_SETTLE_PERIODS, patience=pace.patience, is_trying=True)
    return replace(pace, slow=0, steady=steady, larger_fps=0.0)


def _area_ratio(level: int, other: int) -> float:
    """Return how many times the pixels of `other` fit into `level`: what the rate grows by, at best."""
    return (SCALES[level] / SCALES[other]) ** 2
