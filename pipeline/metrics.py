"""Rates and percentiles over a bounded number of recent values. Pure: the caller passes the time."""

from collections import deque

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
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


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
