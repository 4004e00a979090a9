"""What the page server tells of a stream: its own counters by cause, and what pages lost of it."""

from pipeline.protocol.frame import Look, Mode
from pipeline.protocol.records import DropReason, StreamRecord
from viewer.web.stats import Snapshot, StreamStats


def test_losses_are_told_by_cause_those_of_the_pages_beside_the_streams_own() -> None:
    drops, failures = {DropReason.CAPACITY: 3, DropReason.NO_WORKER: 1}, {DropReason.TIMEOUT: 2}
    card = StreamRecord("cam", Mode.LIVE, "wave", Look(), 64, 48, 9, 4, 3, 2, 0, 0.1, drops=drops, failures=failures)
    stats = StreamStats()
    stats.look(Snapshot(1.0, True, [card]))
    stats.note_lost("cam", late=5, skipped=1)
    stats.note_lost("cam", late=2, skipped=0)
    (told,) = stats.report()["streams"]  # type: ignore[misc]
    assert (told["drops"], told["failures"]) == (drops, failures)
    assert (told["late"], told["skipped"]) == (7, 1)
