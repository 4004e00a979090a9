"""What the page server tells of a stream: its own counters by cause, and what pages lost of it."""

from pipeline.protocol.frame import Look, Mode
from pipeline.protocol.records import Loss, StreamCard
from viewer.web.stats import Book, Snapshot


def test_losses_are_told_by_cause_those_of_the_pages_beside_the_streams_own() -> None:
    drops, failures = {Loss.CAPACITY: 3, Loss.NO_WORKER: 1}, {Loss.TIMEOUT: 2}
    card = StreamCard("cam", Mode.LIVE, "wave", Look(), 64, 48, 9, 4, 3, 2, 0, 0.1, drops=drops, failures=failures)
    book = Book()
    book.look(Snapshot(1.0, True, [card]))
    book.note_lost("cam", late=5, skipped=1)
    book.note_lost("cam", late=2, skipped=0)
    (told,) = book.report()["streams"]  # type: ignore[misc]
    assert (told["drops"], told["failures"]) == (drops, failures)
    assert (told["late"], told["skipped"]) == (7, 1)
