"""Rates and percentiles over a bounded number of recent values. Pure: the caller passes the time."""

import threading
from bisect import bisect_left
from collections import deque
from itertools import accumulate
from math import ceil

# Enough for p95 and p99 to mean something, little enough to sort at every report.
_KEPT = 2048


class Percentiles:
    """The most recent durations; p50 and p95 rather than a mean, which hides what a user feels."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._values: deque[float] = deque(maxlen=kept)

    def add(self, value: float) -> None:
        """Note one value."""
        self._values.append(value)

    def at(self, percent: float) -> float | None:
        """Return the nearest-rank percentile (0–100), None before the first value."""
        if not self._values:
            return None
        ordered = sorted(self._values)
        return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


#: Upper bounds of a histogram of painting times: a GPU's 2 ms to a CPU's 5 s for a large picture, doubled each time.
PAINT_BOUNDS_S = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12)


class Histogram:
    """How many durations there were up to each bound, and in all. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = [0] * (len(PAINT_BOUNDS_S) + 1)
        self._sum_s = 0.0

    def add(self, duration_s: float) -> None:
        """Count one duration."""
        with self._lock:
            self._counts[bisect_left(PAINT_BOUNDS_S, duration_s)] += 1
            self._sum_s += duration_s

    def told(self) -> tuple[float, str]:
        """Return the sum, and the counts as a worker's beat carries them: those between two bounds, by commas."""
        with self._lock:
            return self._sum_s, ",".join(map(str, self._counts))


def buckets(told: str) -> list[tuple[str, float]]:
    """Return what `Histogram.told` tells as Prometheus has it, each count with all below; [] for what is none."""
    counts = told.split(",")
    if len(counts) != len(PAINT_BOUNDS_S) + 1 or not all(map(str.isdecimal, counts)):
        return []
    bounds = [*map(str, PAINT_BOUNDS_S), "+Inf"]
    return list(zip(bounds, accumulate(map(float, counts)), strict=True))


class CounterRate:
    """Growth a second of a counter that is read now and then: over the last `span_s`, at least over the last two reads.

    A counter that shrinks was started again, and counts anew.
    """

    def __init__(self, span_s: float = 5.0) -> None:
        self._span_s = span_s
        self._reads: deque[tuple[float, float]] = deque(maxlen=_KEPT)

    def add(self, now_s: float, count: float) -> None:
        """Note the counter as read at `now_s`, which never goes back."""
        if self._reads and count < self._reads[-1][1]:
            self._reads.clear()
        self._reads.append((now_s, count))
        while len(self._reads) > 2 and now_s - self._reads[0][0] > self._span_s:
            self._reads.popleft()

    def per_s(self) -> float:
        """Return the rate; 0 before the second read."""
        if len(self._reads) < 2:
            return 0.0
        (since_s, before), (until_s, now) = self._reads[0], self._reads[-1]
        return (now - before) / (until_s - since_s) if until_s > since_s else 0.0


class Rate:
    """Events a second over the last `span_s`: n − 1 intervals between n events, not n."""

    def __init__(self, span_s: float = 5.0) -> None:
        self._span_s = span_s
        self._times_s: deque[float] = deque(maxlen=_KEPT)

    def tick(self, now_s: float) -> None:
        """Note one event."""
        self._times_s.append(now_s)

    def per_s(self, now_s: float) -> float:
        """Return the rate; 0 until two events lie within the span."""
        while self._times_s and now_s - self._times_s[0] > self._span_s:
            self._times_s.popleft()
        if len(self._times_s) < 2:
            return 0.0
        elapsed_s = self._times_s[-1] - self._times_s[0]
        return (len(self._times_s) - 1) / elapsed_s if elapsed_s > 0 else 0.0
