"""Live streams on a real server: the newest frame wins, places go round, nothing is sent twice, the counters add up."""

import threading

from pipeline.flow.resend import Overdue
from pipeline.flow.window import LiveWindow
from pipeline.protocol.frame import EncodedFrame, Look
from pipeline.protocol.records import DropReason, Heartbeat
from pipeline.protocol.wire import Stages
from pipeline.server.connection import open_client
from pipeline.server.embedded import EmbeddedServer
from tests.producer.bench import LEASE_MS, PICTURE, Bench, LosesAnswers, picture, sums_hold
from tests.tickets import ANY
from tests.waiting import WaitUntil


def test_only_the_newest_frame_waits_and_the_rest_is_counted(bench: Bench, wait_until: WaitUntil) -> None:
    feed = bench.feed("cam")
    feed.offer(picture(0))
    wait_until(lambda: len(bench.tickets) == 1)
    for pts in range(1, 6):
        feed.offer(picture(pts))
    assert bench.paint(0)
    wait_until(lambda: len(bench.tickets) == 2)
    assert [ticket.seq for _, ticket in bench.tickets] == [0, 1]
    card = bench.card("cam")
    assert (card.captured, card.dropped, card.painted, card.in_flight) == (6, 4, 1, 1)
    assert sums_hold(card)
    entries = bench.transport.read("cam", b"0-0", block_ms=1)
    assert [entry.seq for entry in entries] == [0]
    feed.close()
    assert bench.transport.streams() == []


def test_each_drop_has_its_cause(bench: Bench, wait_until: WaitUntil) -> None:
    def broken() -> EncodedFrame:
        raise ValueError("no picture")

    feed = bench.feed("cam")
    feed.offer(picture(0))
    wait_until(lambda: len(bench.tickets) == 1 and not feed._has_painters)
    for pts in range(3):
        feed.offer(picture(pts))
    bench.transport.send_heartbeat(Heartbeat("w", "wave", "cpu", 2))
    # Two places now: the one that waited goes.
    wait_until(lambda: len(bench.tickets) == 2)
    for pts in range(4):
        feed.offer(picture(pts))
    assert bench.paint(0)
    wait_until(lambda: len(bench.tickets) == 3)
    assert bench.paint(1)
    feed.offer(broken)
    wait_until(lambda: feed._drops[DropReason.FAULT])
    feed.offer(picture(0))
    wait_until(lambda: len(bench.tickets) == 4)
    card = bench.card("cam")
    assert card.drops == {DropReason.NO_WORKER: 2, DropReason.CAPACITY: 3, DropReason.FAULT: 1}
    assert card.dropped == 6
    assert sums_hold(card)
    feed.close()


def test_the_window_is_one_place_for_each_painting_thread(bench: Bench, wait_until: WaitUntil) -> None:
    bench.transport.send_heartbeat(Heartbeat("w", "wave", "cpu", 2))
    feed = bench.feed("cam")
    for pts in range(2):
        feed.offer(picture(pts))
        wait_until(lambda pts=pts: len(bench.tickets) == pts + 1)
    feed.offer(picture(2))
    bench.transport.open_stream("other", {"maxlen": 4})
    assert not bench.transport.ask_place("other", LiveWindow("wave", 2)).is_free
    assert bench.paint(1)
    wait_until(lambda: len(bench.tickets) == 3)
    feed.close()


def test_a_frame_costs_its_producer_one_command(bench: Bench, wait_until: WaitUntil) -> None:
    feed = bench.feed("cam")

    def send_and_paint(at: int) -> None:
        feed.offer(picture(at))
        wait_until(lambda: len(bench.tickets) == at + 1)
        assert bench.paint(at)

    send_and_paint(0)
    before = bench.scripts_run()
    for at in range(1, 21):
        send_and_paint(at)
    # Of three a frame its worker runs two: claim and publish. A place's call that is not read yet when the next frame
    # is there costs an asking.
    assert bench.scripts_run() - before < 20 * 3.5
    feed.close()


def test_frames_whose_answer_was_lost_are_counted_once(server: EmbeddedServer, wait_until: WaitUntil) -> None:
    transport = LosesAnswers(open_client(server.url))
    transport.lost = [0, 1, 0, 1, 1, 0, 0, 1, 0]
    bench = Bench(transport)
    feed = bench.feed("cam")
    for offered in range(12):
        feed.offer(picture(offered))
        wait_until(lambda offered=offered: bench.captured("cam") > offered)
        for at in range(len(bench.tickets)):
            bench.paint(at)
    card = bench.card("cam")
    assert (card.captured, card.painted) == (12, 12), card
    assert [ticket.seq for _, ticket in bench.tickets] == list(range(12))
    feed.close()
    transport.close()


def test_a_stream_that_takes_over_a_name_goes_on_behind_its_numbers_and_counters(
    bench: Bench, wait_until: WaitUntil
) -> None:
    bench.transport.open_stream("cam", {"maxlen": 4, "mode": "live", "style": "wave"})
    left = EncodedFrame(7, 0, PICTURE.codec, PICTURE.width, PICTURE.height, PICTURE.data)
    bench.transport.submit_live("cam", left, ANY, window=LiveWindow("wave", 1), drops={DropReason.CAPACITY: 5})
    (score,) = bench.transport.in_flight("cam", "q").scores.values()
    assert bench.transport.give_up("wave", "cam", Overdue(7, score, DropReason.TIMEOUT, "its producer died"))
    feed = bench.feed("cam")
    feed.offer(picture(0))
    wait_until(lambda: bench.tickets)
    assert [ticket.seq for _, ticket in bench.tickets] == [8]
    card = bench.card("cam")
    assert (card.captured, card.drops, card.failed) == (7, {DropReason.CAPACITY: 5}, 1), "counters only rise"
    assert sums_hold(card)
    feed.close()


def test_places_go_to_whoever_was_served_longest_ago(bench: Bench, wait_until: WaitUntil) -> None:
    feeds = [bench.feed(f"cam{n}") for n in range(3)]
    stop = threading.Event()

    def film() -> None:
        while not stop.wait(0.002):
            for feed in feeds:
                feed.offer(picture(0))

    camera = threading.Thread(target=film)
    camera.start()
    try:
        for at in range(60):
            wait_until(lambda at=at: len(bench.tickets) > at)
            bench.paint(at)
    finally:
        stop.set()
        camera.join()
    served = [[t.stream for _, t in bench.tickets[6:60]].count(f"cam{n}") for n in range(3)]
    assert max(served) - min(served) <= 3, served
    for feed in feeds:
        wait_until(lambda feed=feed: sums_hold(bench.card(feed.stream)))
        feed.close()


def test_a_style_change_applies_to_the_next_frame(bench: Bench, wait_until: WaitUntil) -> None:
    feed = bench.feed("cam")
    feed.offer(picture(0))
    wait_until(lambda: len(bench.tickets) == 1)
    feed.choose("starry", Look(0.5, keep_colours=True, brush=2.0))
    feed.offer(picture(1))
    wait_until(lambda: len(bench.tickets) == 2)
    style, ticket = bench.tickets[1]
    assert (style, ticket.look, ticket.seq) == ("starry", Look(0.5, keep_colours=True, brush=2.0), 1)
    feed.close()


def test_a_viewers_wish_reaches_a_stream_made_elsewhere(bench: Bench, wait_until: WaitUntil) -> None:
    feed = bench.feed("cam")
    feed.offer(picture(0))
    wait_until(lambda: len(bench.tickets) == 1)
    assert bench.paint(0)
    assert bench.transport.wish("cam", "starry", Look(0.25))
    assert not bench.transport.wish("nobody", "starry", Look())

    def offered_in_starry() -> bool:
        feed.offer(picture(1))
        for at, (style, _) in enumerate(bench.tickets):
            if style == "wave" and at and bench.transport.in_flight("cam", "q").scores:
                bench.transport.claim("cam", bench.tickets[at][1].seq, LEASE_MS)
                bench.transport.publish("cam", bench.tickets[at][1].seq, b"", Stages(style="wave"))
        return any(style == "starry" and ticket.look.strength == 0.25 for style, ticket in bench.tickets)

    wait_until(offered_in_starry)
    feed.close()


def test_a_frame_whose_worker_died_is_given_up_and_its_place_comes_back(bench: Bench, wait_until: WaitUntil) -> None:
    feed = bench.feed("cam")
    feed.offer(picture(0))
    wait_until(lambda: len(bench.tickets) == 1)
    assert bench.transport.claim("cam", 0, 1) is not None
    feed.offer(picture(1))
    wait_until(lambda: len(bench.tickets) == 2)
    (entry,) = bench.transport.read("cam", b"0-0", block_ms=1)
    assert (entry.kind, entry.seq) == ("failed", 0)
    card = bench.card("cam")
    assert (card.failures, card.in_flight) == ({DropReason.WORKER: 1}, 1)
    assert sums_hold(card)
    feed.close()


def test_a_stream_goes_on_after_its_server_came_back_empty(bench: Bench, server: object, wait_until: WaitUntil) -> None:
    feed = bench.feed("cam")
    feed.offer(picture(0))
    wait_until(lambda: len(bench.tickets) == 1)
    server.stop()  # type: ignore[attr-defined]
    server.start()  # type: ignore[attr-defined]

    def goes_on() -> bool:
        feed.offer(picture(1))
        return len(bench.tickets) > 1

    wait_until(goes_on, 8.0)
    assert bench.paint(-1)
    assert sums_hold(bench.card("cam"))
    feed.close()
