"""A style's live window on a real server: a frame and its place at once or neither, turns in order, counted once."""

import pytest

from pipeline.errors import ServerFull
from pipeline.flow.resend import overdue
from pipeline.flow.window import LiveWindow, live_places
from pipeline.protocol.frame import Codec, EncodedFrame, Look
from pipeline.protocol.queues import queue_of
from pipeline.protocol.records import DropReason, Heartbeat, StreamRecord, SubmitOutcome
from pipeline.protocol.wire import Message, Stages
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from tests.tickets import ANY
from tests.waiting import WaitUntil

ONE, TWO = (LiveWindow("wave", places) for places in (1, 2))
LEASE_MS = 60_000


def frame(seq: int, size: int = 4) -> EncodedFrame:
    return EncodedFrame(seq, seq, Codec.MJPEG, 8, 8, bytes(size))


@pytest.fixture
def opened(transport: Transport) -> Transport:
    """A transport with three open streams."""
    for stream in ("one", "two", "three"):
        transport.open_stream(stream, {"maxlen": 4, "mode": "live", "style": "wave", "strength": 0.5})
    return transport


def send(transport: Transport, stream: str, seq: int, window: LiveWindow = ONE, dropped: int = 0) -> SubmitOutcome:
    drops = {DropReason.CAPACITY: dropped}
    return transport.submit_live(stream, frame(seq), ANY, window=window, drops=drops).fate


def paint(transport: Transport, stream: str, seq: int) -> bool:
    assert transport.claim(stream, seq, LEASE_MS) is not None
    return transport.publish(stream, seq, b"painted", Stages(style="wave"))


def counted(transport: Transport, stream: str) -> tuple[int, int, int, int]:
    """Captured, dropped, painted, in flight; their sum is looked at on the way."""
    (card,) = (card for card in transport.streams() if card.name == stream)
    assert sum_holds(card), card
    return card.captured, card.dropped, card.painted, card.in_flight


def sum_holds(card: StreamRecord) -> bool:
    return card.captured == card.dropped + card.painted + card.failed + card.in_flight


def test_a_frame_gets_its_place_with_its_submission(opened: Transport) -> None:
    placing = opened.submit_live("one", frame(0), ANY, window=TWO, drops={DropReason.CAPACITY: 3})
    assert (placing.fate, placing.is_free, placing.seq) == (SubmitOutcome.SENT, True, 0)
    assert (placing.style, placing.look) == ("wave", Look(0.5))
    assert counted(opened, "one") == (4, 3, 0, 1)
    assert not opened.submit_live("one", frame(1), ANY, window=TWO, drops={DropReason.CAPACITY: 3}).is_free
    assert paint(opened, "one", 0)
    assert opened.ask_place("one", TWO).is_free


def test_a_frame_without_a_place_leaves_nothing(opened: Transport) -> None:
    assert send(opened, "one", 0) is SubmitOutcome.SENT
    assert send(opened, "two", 0, dropped=5) is SubmitOutcome.WAIT
    assert counted(opened, "two") == (0, 0, 0, 0)
    assert opened.claim("two", 0, LEASE_MS) is None
    assert paint(opened, "one", 0)
    assert send(opened, "two", 0, dropped=7) is SubmitOutcome.SENT
    assert counted(opened, "two") == (8, 7, 0, 1)


def test_a_server_that_forgot_the_stream_says_so(transport: Transport) -> None:
    assert send(transport, "one", 0) is SubmitOutcome.UNKNOWN
    assert transport.ask_place("one", ONE).fate is SubmitOutcome.UNKNOWN


def test_a_frame_sent_again_after_a_lost_answer_is_the_same_frame(opened: Transport) -> None:
    assert send(opened, "one", 0, TWO, dropped=2) is SubmitOutcome.SENT
    assert send(opened, "one", 0, TWO, dropped=2) is SubmitOutcome.HAD
    assert counted(opened, "one") == (3, 2, 0, 1)
    assert send(opened, "two", 0, TWO) is SubmitOutcome.SENT
    assert send(opened, "one", 1, TWO, dropped=2) is SubmitOutcome.WAIT


def test_a_frame_sent_again_after_it_was_painted_is_neither_counted_nor_painted_again(opened: Transport) -> None:
    assert send(opened, "one", 0) is SubmitOutcome.SENT
    assert paint(opened, "one", 0)
    assert send(opened, "one", 0) is SubmitOutcome.HAD
    assert opened.claim("one", 0, LEASE_MS) is None
    assert counted(opened, "one") == (1, 0, 1, 0)
    assert send(opened, "two", 0) is SubmitOutcome.SENT


def test_the_stream_served_longest_ago_goes_first(opened: Transport) -> None:
    assert send(opened, "one", 0) is SubmitOutcome.SENT
    assert send(opened, "one", 1) is SubmitOutcome.WAIT
    assert not opened.ask_place("two", ONE).is_free
    assert paint(opened, "one", 0)
    assert send(opened, "one", 1) is SubmitOutcome.WAIT
    assert send(opened, "two", 0) is SubmitOutcome.SENT
    assert paint(opened, "two", 0)
    assert send(opened, "two", 1) is SubmitOutcome.WAIT
    assert send(opened, "one", 1) is SubmitOutcome.SENT


def test_a_place_that_comes_back_calls_the_stream_whose_turn_it_is(opened: Transport) -> None:
    with opened.credits("wave", "one") as one, opened.credits("wave", "two") as two:
        assert send(opened, "one", 0) is SubmitOutcome.SENT
        assert paint(opened, "one", 0)
        # Nobody asked: whoever comes.
        assert one(1.0)
        assert two(1.0)
        assert send(opened, "one", 1) is SubmitOutcome.SENT
        assert not opened.ask_place("one", ONE).is_free
        assert not opened.ask_place("two", ONE).is_free
        assert paint(opened, "one", 1)
        assert two(1.0)
        assert not one(0.05)


def test_two_places_that_come_back_at_once_are_kept_for_two_streams(opened: Transport) -> None:
    with opened.credits("wave", "two") as two, opened.credits("wave", "three") as three:
        for seq in range(2):
            assert send(opened, "one", seq, TWO) is SubmitOutcome.SENT
        for stream in ("three", "two"):
            assert not opened.ask_place(stream, TWO).is_free
        for seq in range(2):
            assert paint(opened, "one", seq)
        # Called and on their way: nobody else comes between.
        assert send(opened, "one", 2, TWO) is SubmitOutcome.WAIT
        assert three(1.0)
        assert two(1.0)
        assert send(opened, "two", 0, TWO) is SubmitOutcome.SENT
        assert send(opened, "three", 0, TWO) is SubmitOutcome.SENT
        assert send(opened, "one", 2, TWO) is SubmitOutcome.WAIT


def test_no_place_stays_free_because_it_is_another_streams_turn(opened: Transport) -> None:
    with opened.credits("wave", "two") as two:
        assert send(opened, "one", 0) is SubmitOutcome.SENT
        assert not opened.ask_place("two", ONE).is_free
        # A painter came. It is the other's turn, and the other waits for a call.
        assert not opened.ask_place("one", TWO).is_free
        assert two(1.0)
        assert send(opened, "two", 0, TWO) is SubmitOutcome.SENT


def test_a_place_kept_for_a_stream_that_does_not_come_is_free_again(opened: Transport, wait_until: WaitUntil) -> None:
    assert send(opened, "one", 0) is SubmitOutcome.SENT
    assert not opened.ask_place("two", ONE).is_free
    assert paint(opened, "one", 0)
    assert send(opened, "one", 1) is SubmitOutcome.WAIT
    wait_until(lambda: send(opened, "one", 1) is SubmitOutcome.SENT)


@pytest.mark.parametrize(
    ("painters", "round_trip_s", "places"),
    [
        ([], 0.1, 1),
        ([Heartbeat("w", "wave", "cpu", 2)], 0.1, 3),
        ([Heartbeat("w", "wave", "cpu", 2)], 0.0002, 2),
        ([Heartbeat("w", "wave", "cpu", 1, fps=8.0, busy=0.5)], 0.0002, 1),
        ([Heartbeat("w", "wave", "cpu", 1, fps=25.0, busy=1.0)], 0.01, 2),
        ([Heartbeat("w", "wave", "cpu", 1, fps=8.0, busy=0.5)], 0.1, 4),
        ([Heartbeat(f"w{n}", "wave", "cpu", 1, fps=16.0, busy=1.0) for n in range(4)], 0.1, 11),
    ],
    ids=["nobody paints", "idle, far", "idle, near", "near", "in the next town", "far", "four, far"],
)
def test_the_window_is_wider_from_far_away(painters: list[Heartbeat], round_trip_s: float, places: int) -> None:
    assert live_places(painters, round_trip_s) == places


def test_a_full_server_refuses_a_frame_whole(opened: Transport, server: EmbeddedServer) -> None:
    many = LiveWindow("wave", 1000)
    sent = 0
    with pytest.raises(ServerFull):
        for sent in range(100):
            opened.submit_live("one", frame(sent, 1 << 20), ANY, window=many, drops={})
    assert counted(opened, "one") == (sent, 0, 0, sent)
    assert paint(opened, "one", 0)
    assert send(opened, "one", sent, many) is SubmitOutcome.SENT


def test_tickets_nobody_takes_are_bounded_and_go_by_themselves(opened: Transport) -> None:
    redis = opened._redis
    for seq in range(100):
        assert send(opened, "one", seq) is SubmitOutcome.SENT
        (found,) = overdue({seq: opened.in_flight("one", ANY.queue).scores[seq]}, opened.now_ms() + 10_000)
        assert opened.give_up("wave", "one", found)
    assert redis.llen(ANY.queue) == 4 * ONE.places + 32
    assert 0 < redis.pttl(ANY.queue) <= 60_000


def test_tickets_of_a_film_last_as_long_as_its_producer_gives_signs_of_life(transport: Transport) -> None:
    redis, queue = transport._redis, queue_of("wave")
    transport.open_stream("film", {"maxlen": 4, "mode": "file", "style": "wave"})
    transport.submit("film", 0, b"pixels", Message(queue, b"ticket"))
    assert 0 < redis.pttl(queue) <= 60_000
    redis.pexpire(queue, 1000)
    transport.open_stream("film", {"maxlen": 4, "mode": "file", "style": "wave"})
    assert redis.pttl(queue) > 50_000


def test_what_was_stamped_before_the_clock_was_set_back_holds_nobody_up(opened: Transport) -> None:
    redis, later = opened._redis, opened.now_ms() + 3_600_000
    # A place of a stream that is gone, an asking of another, and two streams served an hour from now.
    redis.zadd("live:wave", {"gone:7": later, "lost": later})
    redis.zadd("asking:wave", {"lost": later})
    redis.zadd("served:wave", {"one": later, "two": later})
    assert send(opened, "one", 0) is SubmitOutcome.SENT
    assert opened.ask_place("two", ONE).fate is SubmitOutcome.WAIT
    assert paint(opened, "one", 0)
    assert send(opened, "one", 1) is SubmitOutcome.WAIT, "it is the other one's turn, though served an hour from now"
    assert send(opened, "two", 0) is SubmitOutcome.SENT
