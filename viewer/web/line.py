"""What a page's line bears, learnt from when pictures were sent and acknowledged. Pure: the caller passes the time.

The page says how long it held a picture before it was drawn, so a busy browser is not taken for a thin line. All times
of a trip are one clock's. `viewer/static/line.js` is the same controller for the camera's way up.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

#: Bits a second of one coded stream.
MIN_BPS, MAX_BPS = 400_000.0, 6_000_000.0
# Where nothing is known of the line yet.
_FIRST_BPS = 1_500_000.0
# A route that becomes longer is believed after this long.
_FLOOR_S = 30.0
_SAMPLES = 9
# More than this beyond the trip and the picture's own time on the line: a queue builds up. Less: there is room.
_HIGH_S, _LOW_S = 0.06, 0.03
# A queue is what stays for so long, or over three pictures: behind a lost packet pictures come late too, but together.
_STANDING_S, _STANDING_LEAST = 0.4, 3
_CUT, _CUT_PAUSE_S = 0.8, 0.3
_GROW, _GROW_PAUSE_S = 1.06, 0.25
# Near where the line was full a while ago.
_CREEP, _NEAR_FULL, _FULL_FORGOTTEN_S = 1.015, 0.85, 10.0
_THROUGHPUT_S = 1.0
# Only a rate that is used says something about the line.
_USED = 0.6
# How much wider than the pictures a line must be for them to pass as they are.
_ROOM = 1.25
# On loopback and LANs what delays a picture is the machine, not the line. A busy one answers pings late, too, so a trip
# that is not clearly longer is believed after so many.
_NEAR_S, _FAR_S, _PINGS = 0.002, 0.01, 12
_MISFITS = 3
# Before a coded page tries pictures as they are again: at the highest rate for so long; the pause doubles each time.
_TRY_AFTER_S, _TRY_MOST_S = 3.0, 300.0
_TRY_ROOM = 1.5
# Coding is given up again where so many smaller pictures took more than this share of what those as painted took: then
# the page's machine is slow, not its line. The first ones still queue behind what was sent before. Only pictures much
# smaller than the painted ones prove anything.
_PROOF_SKIPPED, _PROOF, _PROOF_SHARE = 8, 8, 0.7
_PROOF_SIZE = 0.25
_BELIEF_S, _BELIEF_MOST_S = 30.0, 600.0


class Way(StrEnum):
    """How a page gets its pictures: as painted, or coded to fit its line."""

    PASS = "pass"
    CODED = "coded"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one acknowledgement says: it came at `at_s`, for all `size_bytes` sent from `sent_s` on; `held_s`: of that
    time in the page."""

    at_s: float
    sent_s: float
    held_s: float
    size_bytes: int

    @property
    def arrived_s(self) -> float:
        """When an acknowledgement on arrival would have come."""
        return max(self.sent_s, self.at_s - max(0.0, self.held_s))


class Line:
    """One page's line: its trip, its capacity, and the rate it is given."""

    def __init__(self) -> None:
        self.way = Way.PASS
        self.is_always_coded = False
        self.rate_bps = MIN_BPS
        self._streams = 1
        self._trips: deque[tuple[float, float]] = deque()
        self._capacities: deque[float] = deque(maxlen=_SAMPLES)
        self._excesses: deque[tuple[float, float]] = deque()
        self._delays: deque[float] = deque(maxlen=_SAMPLES)
        self._acked: deque[tuple[float, int]] = deque()
        self._arrived_s = float("-inf")
        self._changed_s = float("-inf")
        self._full: tuple[float, float] = (float("-inf"), 0.0)
        self._pings = 0
        self._misfits = 0
        self._full_since_s: float | None = None
        self._try_pause_s = _TRY_AFTER_S
        # Excesses as painted, and as coded since then: what coding is proved by.
        self._before_s = 0.0
        self._proof: list[float] = []
        self._trusted_until_s = float("-inf")
        self._belief_s = _BELIEF_S

    def code_always(self) -> None:
        """Send coded pictures whatever the line carries, as a visitor asked for."""
        self.is_always_coded, self.way, self.rate_bps = True, Way.CODED, _FIRST_BPS

    @property
    def floor_s(self) -> float:
        """The shortest trip, there and back, of the last half minute; 0 before the first."""
        return self._trips[0][1] if self._trips else 0.0

    @property
    def capacity_bps(self) -> float | None:
        """What the line carries, by its latest pictures; None before the first."""
        return median(self._capacities) if self._capacities else None

    def throughput_bps(self, now_s: float) -> float:
        """Return the bits a second acknowledged in the last second."""
        while self._acked and now_s - self._acked[0][0] > _THROUGHPUT_S:
            self._acked.popleft()
        return sum(size for _, size in self._acked) * 8 / _THROUGHPUT_S

    def window(self, fps: float, least: int, most: int) -> int:
        """Return how many pictures of a stream may be on their way: `least`, and what is shown within a round trip.

        One until the first was acknowledged: on a thin line it takes long enough.
        """
        if not self._capacities:
            return 1
        travelling = int(fps * self.floor_s + 0.9) if self.floor_s > 2 * _NEAR_S else 0
        return min(most, least + travelling)

    def pinged(self, now_s: float, trip_s: float) -> None:
        """Note the trip of a ping."""
        self._pings += 1
        self._note(now_s, trip_s)

    def _note(self, now_s: float, trip_s: float) -> None:
        while self._trips and self._trips[-1][1] >= trip_s:
            self._trips.pop()
        self._trips.append((now_s, trip_s))
        # The least first: what is left came later and took longer.
        while now_s - self._trips[0][0] > _FLOOR_S:
            self._trips.popleft()

    def acknowledged(self, receipt: Receipt, needs_bps: float, streams: int) -> None:
        """Take in an acknowledgement; `needs_bps`: what the pictures of all `streams` would take as they are."""
        self._streams = max(1, streams)
        trip_s = receipt.arrived_s - receipt.sent_s
        self._note(receipt.at_s, trip_s)
        began_s = max(receipt.sent_s + self.floor_s, self._arrived_s)
        self._arrived_s = max(self._arrived_s, receipt.arrived_s)
        self._capacities.append(receipt.size_bytes * 8 / max(1e-4, receipt.arrived_s - began_s))
        self._acked.append((receipt.at_s, receipt.size_bytes))
        expected_s = self.floor_s + receipt.size_bytes * 8 / self.rate_bps
        self._excesses.append((receipt.at_s, trip_s - expected_s))
        while len(self._excesses) > _STANDING_LEAST and receipt.at_s - self._excesses[0][0] > _STANDING_S:
            self._excesses.popleft()
        self._delays.append(trip_s - self.floor_s)
        if self.is_always_coded:
            self._steer(receipt.at_s)
        elif self.way is Way.PASS:
            self._judge_pass(receipt.at_s, needs_bps)
        else:
            self._steer(receipt.at_s)
            self._judge_coded(receipt.at_s, needs_bps)
            if self.rate_bps < _PROOF_SIZE * needs_bps:
                self._prove(receipt.at_s, trip_s - self.floor_s)

    def _judge_pass(self, now_s: float, needs_bps: float) -> None:
        ordered = sorted(self._capacities)
        best = ordered[(len(ordered) * 3) // 4]
        is_near = self.floor_s < _NEAR_S or (self.floor_s < _FAR_S and self._pings < _PINGS)
        self._misfits = self._misfits + 1 if best < _ROOM * needs_bps and not is_near else 0
        if self._misfits >= min(_MISFITS, len(ordered)) and now_s > self._trusted_until_s:
            self.way, self._misfits, self._full_since_s = Way.CODED, 0, None
            self._before_s, self._proof = median(self._delays), []
            self._set(now_s, 0.7 * median(ordered))
            self._excesses.clear()

    def _judge_coded(self, now_s: float, needs_bps: float) -> None:
        if self.rate_bps < 0.98 * self._most_bps or median(self._capacities) < _TRY_ROOM * needs_bps:
            self._full_since_s = None
            return
        self._full_since_s = now_s if self._full_since_s is None else self._full_since_s
        if now_s - self._full_since_s >= self._try_pause_s:
            self.way = Way.PASS
            self._try_pause_s = min(_TRY_MOST_S, 2 * self._try_pause_s)

    def _prove(self, now_s: float, delay_s: float) -> None:
        """Go back to pictures as painted where smaller ones came no sooner."""
        if len(self._proof) >= _PROOF_SKIPPED + _PROOF:
            return
        self._proof.append(delay_s)
        if len(self._proof) < _PROOF_SKIPPED + _PROOF:
            return
        # Not their median: on a thin line some come soon, whatever else the machine does.
        if sorted(self._proof[_PROOF_SKIPPED:])[_PROOF // 4] > _PROOF_SHARE * self._before_s:
            self.way, self._trusted_until_s = Way.PASS, now_s + self._belief_s
            self._belief_s = min(_BELIEF_MOST_S, 2 * self._belief_s)

    def _steer(self, now_s: float) -> None:
        since_s = now_s - self._changed_s
        excesses = [excess_s for _, excess_s in self._excesses]
        is_standing = len(excesses) >= _STANDING_LEAST and min(excesses) > _HIGH_S
        if is_standing and since_s > _CUT_PAUSE_S + self.floor_s:
            used_bps = max(self.rate_bps / 2, min(self.rate_bps, self.throughput_bps(now_s)))
            self._full = (now_s, used_bps)
            self._set(now_s, _CUT * used_bps)
            self._excesses.clear()
        elif (
            median(excesses) < _LOW_S and since_s > _GROW_PAUSE_S and self.throughput_bps(now_s) > _USED * self.rate_bps
        ):
            full_s, full_bps = self._full
            is_near = now_s - full_s < _FULL_FORGOTTEN_S and self.rate_bps > _NEAR_FULL * full_bps
            self._set(now_s, (_CREEP if is_near else _GROW) * self.rate_bps)

    def _set(self, now_s: float, rate_bps: float) -> None:
        self.rate_bps = min(self._most_bps, max(MIN_BPS, rate_bps))
        self._changed_s = now_s

    @property
    def _most_bps(self) -> float:
        return MAX_BPS * self._streams
