"""The broadcast on a real server: a frozen one holds up nobody who joins, and no picture is shown or counted twice."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from pipeline.errors import ServerGone
from pipeline.protocol.codec import encode
from pipeline.protocol.frame import Codec, EncodedFrame, Frame
from pipeline.protocol.records import PaintedEntry
from pipeline.protocol.wire import Limits, Stages, pack_frame, pack_stages
from pipeline.server.connection import open_client
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from tests.tickets import ANY
from tests.waiting import WaitUntil
from viewer.broadcast import Broadcast, Watch

LIMITS = Limits(1 << 20, 1 << 20)
PICTURE = encode(Frame(0, 0, np.full((24, 32, 3), 90, np.uint8)), Codec.MJPEG)
FIRST_PICTURES = range(5)


class Breaking(Transport):
    """A transport whose next reads end as they do while the server is away."""

    away = threading.Event()

    def read_many(self, cursors: dict[str, bytes], *, block_ms: int) -> dict[str, list[PaintedEntry]]:  # type: ignore[override]
        if self.away.is_set():
            raise ServerGone("away")
        return super().read_many(cursors, block_ms=block_ms)


class Viewer:
    """One watcher that takes what comes."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.seen: list[int] = []

    def has(self, seq: int) -> bool:
        if (shot := self.watch.take()) is not None:
            self.seen.append(shot.frame.seq)
        return seq in self.seen

    def painted(self) -> int:
        counters = self.watch.counters()
        assert counters.painted == counters.shown + counters.late + counters.skipped
        return counters.painted


def paint(transport: Transport, *seqs: int) -> None:
    transport.open_stream("cam", {"maxlen": 16, "mode": "live"})
    for seq in seqs:
        frame = EncodedFrame(seq, seq, PICTURE.codec, PICTURE.width, PICTURE.height, PICTURE.data)
        transport.submit("cam", seq, b"source", ANY)
        assert transport.publish("cam", seq, pack_frame(frame), Stages())


@pytest.fixture
def breaking(server: EmbeddedServer) -> Iterator[Breaking]:
    connected = Breaking.connect(server.url)
    assert isinstance(connected, Breaking)
    connected.away = threading.Event()
    yield connected
    connected.close()


@pytest.fixture
def broadcast(breaking: Breaking) -> Iterator[Broadcast]:
    reader = Broadcast(breaking, limits=LIMITS)
    reader.start()
    yield reader
    reader.stop()


@pytest.fixture
def viewer(transport: Transport, broadcast: Broadcast, wait_until: WaitUntil) -> Viewer:
    """Has seen the first pictures of the stream."""
    paint(transport, *FIRST_PICTURES[:-1])
    one = Viewer(broadcast.watch("cam", lambda: None))
    wait_until(lambda: one.has(FIRST_PICTURES[-2]))
    paint(transport, FIRST_PICTURES[-1])
    wait_until(lambda: one.has(FIRST_PICTURES[-1]))
    return one


def test_whoever_joins_sees_the_newest_picture_at_once(
    viewer: Viewer, broadcast: Broadcast, transport: Transport, wait_until: WaitUntil
) -> None:
    assert viewer.seen == [3, 4]
    woken = threading.Event()
    second = Viewer(broadcast.watch("cam", woken.set))
    assert woken.is_set()
    assert second.has(4)
    paint(transport, 5, 6)
    wait_until(lambda: second.has(6))
    assert second.painted() == 3


def test_joining_waits_for_no_server(
    server: EmbeddedServer, transport: Transport, broadcast: Broadcast, wait_until: WaitUntil
) -> None:
    paint(transport, 0)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        before_s = time.monotonic()
        late = Viewer(broadcast.watch("cam", lambda: None))
        took_s = time.monotonic() - before_s
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert took_s < 1.0
    wait_until(lambda: late.has(0))
    assert late.painted() == 1


def test_nothing_is_shown_twice_after_the_server_was_away(
    viewer: Viewer, breaking: Breaking, broadcast: Broadcast, transport: Transport, wait_until: WaitUntil
) -> None:
    breaking.away.set()
    wait_until(lambda: not broadcast.is_connected)
    paint(transport, 5, 6)
    breaking.away.clear()
    wait_until(lambda: viewer.has(6))
    paint(transport, 7)
    wait_until(lambda: viewer.has(7))
    assert viewer.seen == sorted(set(viewer.seen))
    # Of the two painted meanwhile one was late; none was lost, none came again.
    assert viewer.painted() == 5


def test_comparing_at_maxmemory_costs_the_source_only(
    viewer: Viewer,
    server: EmbeddedServer,
    broadcast: Broadcast,
    transport: Transport,
    wait_until: WaitUntil,
    caplog: pytest.LogCaptureFixture,
) -> None:
    transport.submit("cam", 5, b"source", ANY)
    with open_client(server.url) as client:
        client.config_set("maxmemory", 1)
        broadcast.compare("cam", on=True)
        wait_until(lambda: "maxmemory" in caplog.text)
        frame = EncodedFrame(5, 5, PICTURE.codec, PICTURE.width, PICTURE.height, PICTURE.data)
        assert transport.publish("cam", 5, pack_frame(frame), Stages())
        wait_until(lambda: viewer.has(5))
    assert broadcast.is_connected
    assert viewer.seen == [3, 4, 5]
    assert viewer.painted() == 3


@pytest.mark.parametrize("ahead_ms", [0, 3_600_000], ids=["clock goes on", "clock is behind"])
def test_a_stream_goes_on_at_a_server_that_came_back_empty(
    viewer: Viewer,
    server: EmbeddedServer,
    breaking: Breaking,
    broadcast: Broadcast,
    transport: Transport,
    wait_until: WaitUntil,
    ahead_ms: int,
) -> None:
    newest = transport.newest("cam")
    assert newest is not None
    with open_client(server.url) as client:
        # What a server whose clock is ahead would have given.
        frame = EncodedFrame(5, 5, PICTURE.codec, PICTURE.width, PICTURE.height, PICTURE.data)
        client.xadd(
            "painted:cam",
            {"seq": 5, "published": 0, "kind": "painted", "frame": pack_frame(frame), "stages": pack_stages(Stages())},
            id=f"{newest.published_ms + ahead_ms + 1}-0",
        )
    wait_until(lambda: viewer.has(5))
    breaking.away.set()
    wait_until(lambda: not broadcast.is_connected)
    server.stop()
    server.start()
    paint(transport, 0, 1)
    breaking.away.clear()
    wait_until(lambda: viewer.has(1))
    paint(transport, 2)
    wait_until(lambda: viewer.has(2))
    assert viewer.seen[-2:] == [1, 2]
    viewer.painted()
