"""What the page server tells of a stream: its own counters by cause, and what pages lost of it."""

from dataclasses import replace

from fleet.stats import FleetTracker, Snapshot
from pipeline.protocol.frame import Look, Mode
from pipeline.protocol.records import DropReason, StreamRecord
from viewer.web.stats import StreamStats


def test_losses_are_told_by_cause_those_of_the_pages_beside_the_streams_own() -> None:
    drops, failures = {DropReason.CAPACITY: 3, DropReason.NO_WORKER: 1}, {DropReason.TIMEOUT: 2}
    card = StreamRecord("cam", Mode.LIVE, "wave", Look(), 64, 48, 9, 4, 3, 2, 0, 0.1, drops=drops, failures=failures)
    stats = StreamStats()
    stats.update(Snapshot(1000, [card]))
    stats.note_lost("cam", late=5, skipped=1)
    stats.note_lost("cam", late=2, skipped=0)
    (told,) = stats.report()["streams"]  # type: ignore[misc]
    assert (told["drops"], told["failures"]) == (drops, failures)
    assert (told["late"], told["skipped"]) == (7, 1)


def test_the_page_and_painter_status_show_the_same_rate() -> None:
    """A stream of 12.5 FPS looked at once a second: its counter grows by 12 or 13, and by 62 or 63 in 5 s."""
    card = StreamRecord("cam", Mode.LIVE, "wave", Look(), 64, 48, 0, 0, 0, 0, 0, 0.1)
    stats, tracker = StreamStats(), FleetTracker()
    for second in range(9):
        snapshot = Snapshot(1000 * second, [replace(card, painted=int(12.5 * second))])
        stats.update(snapshot)
        (line,) = tracker.update(snapshot).streams
    assert (line.fps, stats.fps_of("cam")) == ((100 - 37) / 5, 12.6)


def test_a_server_that_does_not_answer_shows_nothing_and_keeps_the_rates() -> None:
    card = StreamRecord("cam", Mode.LIVE, "wave", Look(), 64, 48, 0, 0, 0, 0, 0, 0.1)
    stats = StreamStats()
    stats.update(Snapshot(0, [card]))
    stats.update(None)
    assert (stats.is_connected, list(stats.now.streams)) == (False, [])
    stats.update(Snapshot(4000, [replace(card, painted=40)]))
    assert (stats.is_connected, stats.fps_of("cam")) == (True, 10.0)
