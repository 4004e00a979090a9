"""What the fleet's numbers say: rates between two glances, delays, and how many workers a style could use."""

from dataclasses import replace

import pytest

from fleet.stats import FILE_WITHIN_S, Snapshot, StreamLine, fleet_stats, slot_of, take_snapshot, wanted
from pipeline.flow.window import LiveWindow
from pipeline.protocol.frame import Look, Mode
from pipeline.protocol.records import DropReason, Heartbeat, StreamRecord
from pipeline.protocol.wire import Stages
from pipeline.server.transport import Transport
from tests.fleet.places import FRAME
from tests.tickets import ANY

WORKER = Heartbeat("wave@cpu0.desk", "wave", "cpu", 1, fps=5.0, busy=0.5, host="desk")
IDLE = replace(WORKER, fps=0.0, busy=0.0)


def card(mode: Mode = Mode.LIVE, **facts: int) -> StreamRecord:
    """A stream in style wave of which only `facts` matter."""
    counts = {"captured": 0, "dropped": 0, "painted": 0, "failed": 0, "in_flight": 0, **facts}
    return StreamRecord("clip", mode, "wave", Look(), 640, 480, age_s=0.1, **counts)


def live(fps: float, dropped_fps: float = 0.0) -> StreamLine:
    """A live stream with its rates."""
    return StreamLine(card(), fps, dropped_fps, None)


def file(frames: int, painted: int = 0) -> StreamLine:
    """A file with `frames` frames, `painted` of them done."""
    return StreamLine(card(Mode.FILE, frames=frames, painted=painted), 1.0, 0.0, None)


@pytest.mark.parametrize(
    ("workers", "streams", "queued", "count"),
    [
        ([WORKER], [], 0, 0),
        ([], [], 3, 1),
        ([], [live(0)], 0, 1),
        # A worker that is half busy with 5 FPS could paint 10.
        ([WORKER], [live(5)], 0, 1),
        ([WORKER], [live(10, dropped_fps=14)], 0, 3),
        ([WORKER], [live(10), live(10)], 0, 2),
        ([WORKER], [file(int(30 * FILE_WITHIN_S))], 4, 3),
        ([WORKER], [file(int(30 * FILE_WITHIN_S), painted=int(25 * FILE_WITHIN_S))], 4, 1),
        ([WORKER], [file(0)], 4, 1),
        ([WORKER], [live(10), file(int(10 * FILE_WITHIN_S))], 0, 2),
        # Nobody's speed is known.
        ([IDLE, IDLE], [live(0)], 0, 2),
        ([IDLE, IDLE], [live(0, dropped_fps=24)], 0, 3),
    ],
    ids=str,
)
def test_wanted_workers_follow_what_waits(
    workers: list[Heartbeat], streams: list[StreamLine], queued: int, count: int
) -> None:
    assert wanted(workers, streams, queued) == count


def test_a_live_stream_that_ended_wants_nobody() -> None:
    ended = StreamLine(replace(card(), age_s=30.0), 0.0, 0.0, None)
    assert wanted([WORKER], [ended], 0) == 0


def test_rates_are_what_counters_grew_by_between_two_glances() -> None:
    before = Snapshot(10_000, [card(painted=100, dropped=7)])
    now = Snapshot(12_000, [card(painted=130, dropped=11)], delays_ms={"clip": 80})
    (line,) = fleet_stats(before, now).streams
    assert (line.fps, line.dropped_fps, line.delay_ms) == (15.0, 2.0, 80)


def test_a_stream_that_was_opened_anew_has_no_negative_rate() -> None:
    (line,) = fleet_stats(Snapshot(0, [card(painted=100)]), Snapshot(1000, [card(painted=3)])).streams
    assert line.fps == 0.0


def test_a_slot_is_read_from_the_workers_name() -> None:
    assert slot_of(replace(WORKER, name="wave@gpu0-1.node7.cluster.example")) == "gpu0-1"


def test_a_glance_sees_workers_queues_streams_and_delays(transport: Transport) -> None:
    transport.send_heartbeat(WORKER)
    transport.open_stream("desk", {"maxlen": 4, "style": "wave", "mode": "live", "width": 640, "height": 480})
    transport.submit_live("desk", FRAME, ANY, window=LiveWindow("wave", 1), drops={DropReason.CAPACITY: 2})
    claim = transport.claim("desk", 0, 60_000)
    assert claim is not None
    transport.publish("desk", 0, b"painted", Stages(claim.sent_ms, claim.claimed_ms, style="wave"))
    seen = fleet_stats(take_snapshot(transport, ["starry"]), take_snapshot(transport, ["starry"]))
    assert seen.workers == [WORKER]
    assert [(line.style, line.workers, line.queued, line.queued_live) for line in seen.styles] == [
        ("starry", 0, 0, 0),
        ("wave", 1, 0, 0),
    ]
    (line,) = seen.streams
    assert (line.card.painted, line.card.drops) == (1, {DropReason.CAPACITY: 2})
    assert line.delay_ms is not None
    assert 0 <= line.delay_ms < 5000
    assert 0 < seen.used_bytes < seen.max_bytes == 64 << 20
