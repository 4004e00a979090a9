"""A file's job between a painter beside the server and one far away: who is near never waits for who is far."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction

import msgpack
import numpy as np
import pytest

from benchmarks.sharing import Times
from jobs.paint_job import PaintJob
from pipeline.errors import Stopped
from pipeline.flow.window import window_size
from pipeline.process.config import Settings
from pipeline.protocol.frame import Frame, Landmark, Look, StreamInfo
from pipeline.protocol.records import Heartbeat
from pipeline.protocol.wire import Stages, Ticket
from pipeline.server.broker import Broker
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from tests.tickets import QUEUE, Tickets
from tests.waiting import WaitUntil

#: How long the far one holds a frame at most, while it waits for the near one to paint as many as it should.
HELD_S = 0.4
#: Well beyond the window of two painters who are both near.
PAINTED_MEANWHILE = 4 * window_size(2)


class Endless:
    """A source of small pictures that never ends."""

    info = StreamInfo(8, 8, Fraction(1, 25), frames=1_000_000)

    def frames(self, start: int = 0, landmark: Landmark | None = None) -> Iterator[Frame]:
        for seq in range(start, 1_000_000):
            yield Frame(seq, seq, np.zeros((8, 8, 3), np.uint8))

    def close(self) -> None: ...


class Painters:
    """One that paints at once, and one that holds each frame until the other has painted so many, or for 0.4 s."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.ended = threading.Event()
        self.near_painted = 0
        #: What the near one painted while the far one held a frame, for each of its frames.
        self.meanwhile: list[int] = []
        self._transports = [Transport.connect(server.url) for _ in range(2)]
        self._threads = [threading.Thread(target=part) for part in (self._near, self._far)]

    def __enter__(self) -> "Painters":
        for name, transport in zip(("near", "far"), self._transports, strict=True):
            transport.send_heartbeat(Heartbeat(name, "wave", "cpu", 1))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        for thread in self._threads:
            thread.join()

    def _near(self) -> None:
        while not self.ended.is_set():
            self.near_painted += self._paint(self._transports[0], "near", lambda: None)

    def _far(self) -> None:
        while not self.ended.is_set():
            self._transports[1].send_heartbeat(Heartbeat("far", "wave", "cpu", 1))
            self._transports[1].send_heartbeat(Heartbeat("near", "wave", "cpu", 1))
            self._paint(self._transports[1], "far", self._hold)

    def _hold(self) -> None:
        before, until_s = self.near_painted, time.monotonic() + HELD_S
        while self.near_painted < before + PAINTED_MEANWHILE and time.monotonic() < until_s:
            self.ended.wait(0.001)
        self.meanwhile.append(self.near_painted - before)

    def _paint(self, transport: Transport, name: str, hold: Callable[[], None]) -> bool:
        raw = transport._redis.rpop(QUEUE)
        ticket = Ticket.from_args(msgpack.unpackb(raw)[1]) if raw else None
        claim = ticket and transport.claim(ticket.stream, ticket.seq, 1500)
        if not claim:
            self.ended.wait(0.001)
            return False
        hold()
        stages = Stages(claimed_ms=claim.claimed_ms, paint_ms=1.0, style="wave", worker=name)
        return transport.publish(ticket.stream, ticket.seq, claim.document, stages)


@contextmanager
def painting(job: PaintJob) -> Iterator[None]:
    """Paint beside the block."""

    def run() -> None:
        with pytest.raises(Stopped):
            job.run(lambda _: None)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        job.stop()
        thread.join()


@pytest.mark.timeout(60)
def test_a_painter_beside_the_server_never_waits_for_the_frame_that_a_far_one_holds(
    server: EmbeddedServer, transport: Transport, wait_until: WaitUntil
) -> None:
    broker = Broker(server.url, transport, Tickets(transport).pack, None)
    with Painters(server) as painters:
        job = PaintJob(Endless(), Times(), style="wave", look=Look(), broker=broker, settings=Settings())
        with painting(job):
            # The near one may paint another before the far one has seen that it is enough.
            wait_until(lambda: max(painters.meanwhile, default=0) >= PAINTED_MEANWHILE, 40, "a wider window")
            # What is painted and not yet read stays on the server: it was told of the wider window first.
            (facts,) = [transport.stream_facts(card.name) for card in transport.streams()]
            assert int(facts["maxlen"]) > 2 * PAINTED_MEANWHILE
    # Eight more where the server took long to answer, as on a busy machine.
    assert max(painters.meanwhile[:2]) < window_size(2) + 8, "the window starts small"
