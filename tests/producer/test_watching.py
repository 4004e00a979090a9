"""Who watches live streams gets their pictures in order, gaps skipped, and one stream a style."""

import pytest

from pipeline.errors import WireError
from pipeline.protocol.frame import EncodedFrame, Look
from pipeline.protocol.wire import Stages, pack_frame
from pipeline.server.transport import Transport
from producer.page_streams import PageStreams
from tests.producer.bench import LEASE_MS, LIMITS, PICTURE, Bench, picture
from tests.tickets import ANY
from tests.waiting import WaitUntil
from viewer.broadcast import Broadcast


def test_every_watcher_gets_the_pictures_in_order(bench: Bench, broadcast: Broadcast, wait_until: WaitUntil) -> None:
    bench.transport.open_stream("cam", {"maxlen": 64, "mode": "live"})
    seen: list[int] = []
    watch = broadcast.watch("cam", lambda: None)
    slow = broadcast.watch("cam", lambda: None)
    bench.transport.submit("cam", 0, b"", ANY)
    bench.transport.publish("cam", 0, pack_frame(picture(0)), Stages())

    def take() -> bool:
        shot = watch.take()
        if shot is not None:
            seen.append(shot.frame.pts)
        return len(seen) >= 4

    wait_until(lambda: take() or seen)
    for seq in (2, 1, 3):
        frame = EncodedFrame(seq, seq, PICTURE.codec, PICTURE.width, PICTURE.height, PICTURE.data)
        bench.transport.submit("cam", seq, b"", ANY)
        bench.transport.publish("cam", seq, pack_frame(frame), Stages())
    wait_until(lambda: slow.counters().late == 3)
    last = watch.take()
    assert last is not None
    assert last.frame.seq == 3
    assert slow.take() == last
    counters = slow.counters()
    assert counters.painted == counters.shown + counters.late + counters.skipped == 4
    watch.close()
    slow.close()


def test_a_gap_is_skipped_after_its_deadline(bench: Bench, broadcast: Broadcast, wait_until: WaitUntil) -> None:
    bench.transport.open_stream("cam", {"maxlen": 64, "mode": "live"})
    watch = broadcast.watch("cam", lambda: None)
    taken: list[int] = []

    def take(last: int) -> bool:
        if (shot := watch.take()) is not None:
            taken.append(shot.frame.seq)
        return last in taken

    for seq in (0, 2):
        bench.transport.submit("cam", seq, b"", ANY)
        frame = EncodedFrame(seq, seq, PICTURE.codec, PICTURE.width, PICTURE.height, PICTURE.data)
        bench.transport.publish("cam", seq, pack_frame(frame), Stages())
        # One at a time: a watcher begins at the newest picture there is.
        wait_until(lambda seq=seq: take(seq))
    bench.transport.submit("cam", 1, b"", ANY)
    bench.transport.publish("cam", 1, pack_frame(picture(1)), Stages())
    wait_until(lambda: watch.counters().skipped == 1)
    assert taken == [0, 2]
    watch.close()


def test_sources_come_beside_paintings_while_somebody_compares(
    bench: Bench, broadcast: Broadcast, wait_until: WaitUntil
) -> None:
    feed = bench.feed("cam")
    watch = broadcast.watch("cam", lambda: None)
    broadcast.compare("cam", on=True)
    shots = []

    def compared() -> bool:
        feed.offer(picture(7))
        for at in range(len(bench.tickets)):
            claim = bench.transport.claim("cam", bench.tickets[at][1].seq, LEASE_MS)
            if claim is not None:
                bench.transport.publish("cam", bench.tickets[at][1].seq, claim.document, Stages(style="wave"))
        if (shot := watch.take()) is not None:
            shots.append(shot)
        return bool(shots) and shots[-1].source == PICTURE.data

    wait_until(compared)
    feed.close()


def test_the_grid_is_one_stream_a_style(bench: Bench, transport: Transport, wait_until: WaitUntil) -> None:
    session = PageStreams(transport, bench.pack, LIMITS).open("cam", ["wave"], Look())
    assert dict(session.streams) == {"wave": "cam"}
    session.choose(["wave", "starry", "cafe"], Look())
    assert dict(session.streams) == {"wave": "cam", "starry": "cam.1", "cafe": "cam.2"}
    session.offer(PICTURE.data, 5)
    wait_until(lambda: {style for style, _ in bench.tickets} == {"wave", "starry", "cafe"})
    session.choose(["cafe"], Look())
    assert dict(session.streams) == {"cafe": "cam.2"}
    session.choose(["starry"], Look())
    session.choose(["wave", "starry", "cafe"], Look())
    assert dict(session.streams) == {"starry": "cam.2", "wave": "cam.3", "cafe": "cam.4"}
    with pytest.raises(WireError):
        session.offer(b"no picture", 6)
    session.close()
    assert transport.streams() == []
