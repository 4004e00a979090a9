"""The pure rules of a frame's way: window, reorder buffer, resends, queue order, rates."""

import random

import pytest

from pipeline.flow.metrics import CounterRate, Histogram, Percentiles, Rate, buckets
from pipeline.flow.reorder import ReorderBuffer
from pipeline.flow.resend import ABSENT_MS, LIVE_WAIT_MS, OVERTAKEN_MS, QUEUE_EMPTY_MS, Cause, LastClaim, due, overdue
from pipeline.flow.window import Holds, Window, raw_bytes, window_size
from pipeline.flow.worker_health import why_nobody_paints
from pipeline.protocol.queues import LiveFirst, queue_of, style_of
from pipeline.protocol.records import DropReason, Heartbeat
from pipeline.protocol.wire import Stages

NOW = 1_000_000


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        pytest.param([0, 1, 2], [[0], [1], [2]], id="in order"),
        pytest.param([2, 0, 1], [[], [0], [1, 2]], id="last first"),
        pytest.param([0, 0, 1, 1], [[0], [], [1], []], id="doubled"),
        pytest.param([1, 1, 0], [[], [], [0, 1]], id="doubled while waiting"),
    ],
)
def test_frames_leave_in_order_once(order: list[int], expected: list[list[int]]) -> None:
    buffer: ReorderBuffer[int] = ReorderBuffer()
    assert [list(buffer.push(seq, seq)) for seq in order] == expected


@pytest.mark.parametrize("seed", range(20))
def test_any_order_with_duplicates_comes_out_whole_and_in_order(seed: int) -> None:
    rng = random.Random(seed)
    sent = list(range(200)) + rng.choices(range(200), k=60)
    rng.shuffle(sent)
    buffer: ReorderBuffer[int] = ReorderBuffer()
    out = [item for seq in sent for item in buffer.push(seq, seq)]
    assert out == list(range(200))
    assert (buffer.duplicates, buffer.skipped, len(buffer)) == (60, 0, 0)


def test_live_gap_is_given_up_after_its_deadline_and_counted() -> None:
    buffer: ReorderBuffer[int] = ReorderBuffer(deadline_s=0.5)
    assert list(buffer.push(0, 0, now_s=0.0)) == [0]
    assert list(buffer.push(3, 3, now_s=1.0)) == []
    assert list(buffer.expire(1.4)) == []
    assert list(buffer.expire(1.5)) == [3]
    assert buffer.skipped == 2
    assert list(buffer.push(1, 1, now_s=1.6)) == []
    assert buffer.duplicates == 1


def test_a_new_gap_gets_its_own_deadline() -> None:
    buffer: ReorderBuffer[int] = ReorderBuffer(deadline_s=0.5)
    assert list(buffer.push(1, 1, now_s=0.0)) == []
    assert list(buffer.push(4, 4, now_s=0.3)) == []
    assert list(buffer.push(0, 0, now_s=0.4)) == [0, 1]
    assert list(buffer.expire(0.6)) == []
    assert list(buffer.expire(0.9)) == [4]


def test_a_files_buffer_never_gives_up() -> None:
    buffer: ReorderBuffer[int] = ReorderBuffer()
    assert list(buffer.push(1, 1)) == []
    assert list(buffer.expire(1e9)) == []


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        pytest.param([Heartbeat("a", "wave", "cpu", 1)], "", id="somebody paints"),
        pytest.param([], "no worker for wave; start one: painter work --styles wave", id="nobody is there"),
        pytest.param([Heartbeat("a", "cafe", "cpu", 1)], "no worker for wave; start one", id="of another style"),
        pytest.param(
            [Heartbeat(n, "", "cpu", 1, host=n, note="too old", away_from="wave") for n in ("two", "one")],
            "no worker of wave can read what waits (too old); install the newer power-painter on one, two",
            id="all are older",
        ),
        pytest.param([Heartbeat("a", "", "cpu", 1, note="too old", away_from="cafe")], "no worker for wave", id="away"),
        pytest.param(
            [Heartbeat("a", "", "cpu", 1, note="too old", away_from="wave"), Heartbeat("b", "wave", "cpu", 1)],
            "",
            id="one is new",
        ),
    ],
)
def test_who_waits_is_told_why_nobody_paints(workers: list[Heartbeat], said: str) -> None:
    why = why_nobody_paints("wave", workers)
    assert why.startswith(said) if said else not why


def test_a_histogram_counts_each_duration_in_its_place_and_is_told_as_prometheus_has_it() -> None:
    histogram = Histogram()
    assert histogram.told() == (0.0, ",".join(["0"] * 13))
    for duration_s in (0.06, 0.08, 0.081, 99.0):
        histogram.add(duration_s)
    total_s, told = histogram.told()
    assert total_s == pytest.approx(99.221)
    found = dict(buckets(told))
    assert (found["0.04"], found["0.08"], found["0.16"], found["5.12"], found["+Inf"]) == (0, 2, 3, 3, 4)
    # A worker of another release, or what no worker wrote.
    assert [buckets(other) for other in ("", "1,2", "x" * 13, ",".join(["1"] * 12 + ["-1"]))] == [[]] * 4


def test_full_window_has_no_credit_until_one_is_given_back() -> None:
    window = Window(2)
    window.take(0)
    window.take(1)
    assert window.is_full
    with pytest.raises(ValueError, match="no credit"):
        window.take(2)
    assert window.give(0)
    assert not window.give(0)
    window.take(2)
    assert window.in_flight == 2


@pytest.mark.parametrize(("threads", "size"), [(0, 6), (1, 6), (2, 8), (6, 16)])
def test_window_grows_with_the_painters(threads: int, size: int) -> None:
    assert window_size(threads) == size


@pytest.mark.parametrize(
    ("window", "reads", "largest"),
    [
        pytest.param(8, [2, 2], 6_710_886, id="two painters: 1920×1080 has 6.2 MB"),
        pytest.param(20, [2] * 8, 2_684_354, id="eight: 1280×720 has 2.8 MB, 640×480 0.9"),
        pytest.param(6, [], (8 << 20) - 8192, id="no more than a document may have"),
        pytest.param(8, [2, 0], 0, id="a painter of an older release"),
    ],
)
def test_raw_pixels_take_a_tenth_of_the_server_at_most(window: int, reads: list[int], largest: int) -> None:
    painters = [Heartbeat("w", "wave", "cpu", 1, wire_version=version) for version in reads]
    assert raw_bytes(window, painters, 512 << 20, 8 << 20) == largest


@pytest.mark.parametrize(
    ("workers", "wider"),
    [
        pytest.param([], 0, id="nobody has painted"),
        pytest.param([(60, 1)] * 4, 0, id="all alike and near"),
        pytest.param([(60, 100)] * 2, 0, id="all alike and far"),
        # It holds a frame for 60 + 3 × 100 ms; the others paint one in 65.
        pytest.param([(60, 1), (60, 1), (60, 100)], 9, id="one far away"),
        pytest.param([(60, 1), (60, 1), (600, 1)], 17, id="one slow"),
        pytest.param([(0, 0), (0, 0)], 0, id="no time at all"),
    ],
)
def test_the_window_is_wider_by_what_is_painted_while_the_slowest_holds_a_frame(
    workers: list[tuple[int, int]], wider: int
) -> None:
    holds = Holds()
    for number, (work_ms, round_trip_ms) in enumerate(workers):
        for lost_ms in (0, 900, 0):  # one packet lost on the line says nothing
            stages = Stages(claimed_ms=1000, paint_ms=work_ms, worker=f"w{number}")
            holds.note(stages, 1000 + work_ms + round_trip_ms + lost_ms)
    beats = [Heartbeat(f"w{number}", "wave", "cpu", 1) for number in range(len(workers) + 1)]
    assert holds.wider(beats) == wider
    assert Holds().wider(beats) == 0
    # Who left counts no more.
    assert holds.wider([]) == 0


@pytest.mark.parametrize(
    ("score", "last", "empty_ms", "cause"),
    [
        pytest.param(NOW + 1, LastClaim(), 0, None, id="lease holds"),
        pytest.param(NOW - 1, LastClaim(), 0, Cause.LEASE, id="lease ran out"),
        pytest.param(1, LastClaim(), 0, Cause.LEASE, id="given back"),
        pytest.param(-(NOW - 9000), LastClaim(), 0, None, id="waits in a long queue"),
        pytest.param(-(NOW - 9000), LastClaim(4, NOW - 5000), 0, None, id="only earlier frames were claimed"),
        pytest.param(-(NOW - 9000), LastClaim(6, NOW - OVERTAKEN_MS), 0, None, id="overtaken just now"),
        pytest.param(-(NOW - 9000), LastClaim(6, NOW - OVERTAKEN_MS - 1), 0, Cause.OVERTAKEN, id="overtaken"),
        pytest.param(-(NOW - 1500), LastClaim(6, NOW - 2000), 0, None, id="sent again since it was overtaken"),
        pytest.param(-(NOW - 9000), LastClaim(), QUEUE_EMPTY_MS + 1, Cause.TICKET_LOST, id="nothing queued"),
        pytest.param(-(NOW - 100), LastClaim(), QUEUE_EMPTY_MS + 1, None, id="nothing queued but just sent"),
    ],
)
def test_what_is_sent_again(score: float, last: LastClaim, empty_ms: int, cause: Cause | None) -> None:
    found = list(due({5: score}, NOW, last, queue_empty_ms=empty_ms, absent_ms={}))
    assert [(r.seq, r.cause, r.score) for r in found] == ([] if cause is None else [(5, cause, score)])


def test_a_frame_gone_from_the_server_without_arriving_is_sent_again() -> None:
    found = list(due({}, NOW, LastClaim(), queue_empty_ms=0, absent_ms={3: ABSENT_MS, 7: ABSENT_MS + 1}))
    assert [(r.seq, r.cause, r.score) for r in found] == [(7, Cause.ABSENT, None)]


@pytest.mark.parametrize(
    ("score", "loss"),
    [
        pytest.param(NOW + 1, None, id="lease holds"),
        pytest.param(NOW - 1, DropReason.WORKER, id="lease ran out"),
        pytest.param(1, DropReason.WORKER, id="given back"),
        pytest.param(-(NOW - LIVE_WAIT_MS), None, id="waits"),
        pytest.param(-(NOW - LIVE_WAIT_MS - 1), DropReason.TIMEOUT, id="waited too long"),
    ],
)
def test_which_live_frames_are_given_up_and_why(score: float, loss: DropReason | None) -> None:
    found = [(one.seq, one.score, one.loss) for one in overdue({5: score}, NOW)]
    assert found == ([] if loss is None else [(5, score, loss)])


def test_live_goes_first_and_the_file_every_fifth_time() -> None:
    order = LiveFirst()
    order.update([queue_of("wave"), queue_of("wave", live=True)])
    first = []
    for _ in range(10):
        first.append(order.consume(2)[0])
        order.rotate(first[-1])
    assert [queue == "style.wave" for queue in first] == [False, False, False, False, True] * 2


@pytest.mark.parametrize(("queue", "style"), [("style.wave", "wave"), ("style.wave.live", "wave"), ("celery", None)])
def test_a_queue_names_its_style(queue: str, style: str | None) -> None:
    assert style_of(queue) == style


def test_ten_frames_a_second_are_measured_as_ten() -> None:
    rate = Rate(span_s=5)
    for tick in range(3):
        rate.tick(tick * 0.1)
    assert rate.per_s(0.2) == pytest.approx(10)
    assert rate.per_s(60.0) == 0


def test_percentiles_are_those_of_the_recent_values() -> None:
    delays = Percentiles(kept=100)
    assert delays.at(50) is None
    for value in range(1000):
        delays.add(value)
    # Of 900 to 999, the 50th and the 95th.
    assert (delays.at(50), delays.at(95), delays.at(0), delays.at(100)) == (949, 994, 900, 999)


def test_a_median_of_two_is_the_lower_one() -> None:
    delays = Percentiles()
    delays.add(20)
    delays.add(10)
    assert (delays.at(50), delays.at(51)) == (10, 20)


def test_a_counters_rate_spans_the_last_seconds_and_begins_anew_with_the_counter() -> None:
    rate = CounterRate(span_s=5)
    rate.add(0, 100)
    assert rate.per_s() == 0
    rate.add(60, 700)  # two reads count, however far apart
    assert rate.per_s() == 10
    for second in range(61, 70):
        rate.add(second, 700 + 2 * (second - 60))
    assert rate.per_s() == 2
    rate.add(70, 3)
    assert rate.per_s() == 0
    rate.add(71, 7)
    assert rate.per_s() == 4


@pytest.mark.parametrize(
    ("score", "cause", "is_given_up"),
    [
        pytest.param(-NOW - 3_600_000.0, Cause.CLOCK, True, id="sent an hour from now"),
        pytest.param(NOW + 3_600_000.0, Cause.CLOCK, True, id="leased for an hour"),
        pytest.param(-NOW - 500.0, None, False, id="sent just now, read a little later"),
        pytest.param(NOW + 60_000.0, None, False, id="the longest lease"),
    ],
)
def test_a_clock_that_was_set_back_delays_nothing(score: float, cause: Cause | None, is_given_up: bool) -> None:
    again = list(due({0: score}, NOW, LastClaim(), queue_empty_ms=0, absent_ms={}))
    assert [resend.cause for resend in again] == ([cause] if cause else [])
    assert [found.seq for found in overdue({0: score}, NOW)] == ([0] if is_given_up else [])
