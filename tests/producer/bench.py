"""Live streams without workers: tickets as they are queued, and a painter that does what a test says."""

from collections.abc import Mapping

import numpy as np
import redis

from pipeline.errors import ServerGone
from pipeline.flow.window import LiveWindow
from pipeline.protocol.codec import encode
from pipeline.protocol.frame import Codec, EncodedFrame, Frame, Look
from pipeline.protocol.records import DropReason, StreamRecord, SubmitOutcome, SubmitResult
from pipeline.protocol.wire import Limits, Message, Stages, Ticket
from pipeline.server.transport import Transport
from producer.live import Channel, LiveFeed
from tests.tickets import Tickets

LIMITS = Limits(1 << 20, 1 << 20)
LEASE_MS = 60_000
PICTURE = encode(Frame(0, 0, np.full((24, 32, 3), 90, np.uint8)), Codec.MJPEG)


def picture(pts: int) -> EncodedFrame:
    """A frame captured at `pts`."""
    return EncodedFrame(0, pts, PICTURE.codec, PICTURE.width, PICTURE.height, PICTURE.data)


class LosesAnswers(Transport):
    """Frames are put in flight, and where `lost` says so nobody hears of it."""

    def __init__(self, client: "redis.Redis") -> None:
        super().__init__(client)
        self.lost: list[int] = []

    def submit_live(
        self, stream: str, frame: EncodedFrame, ticket: Message, *, window: LiveWindow, drops: Mapping[DropReason, int]
    ) -> SubmitResult:
        placing = super().submit_live(stream, frame, ticket, window=window, drops=drops)
        if placing.fate is SubmitOutcome.SENT and self.lost and self.lost.pop(0):
            raise ServerGone("the answer was lost")
        return placing


class Bench:
    """Tickets as they are queued, and a painter that does what a test says."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._queued = Tickets(transport)
        self.pack = self._queued.pack

    @property
    def tickets(self) -> list[tuple[str, Ticket]]:
        return self._queued.taken

    def feed(self, stream: str, style: str = "wave") -> LiveFeed:
        feed = LiveFeed(Channel(stream, self.transport, self.pack), style, Look())
        feed.start()
        return feed

    def paint(self, at: int) -> bool:
        style, ticket = self.tickets[at]
        claim = self.transport.claim(ticket.stream, ticket.seq, LEASE_MS)
        # On a machine that stands still for 2 s a frame is given up meanwhile.
        if claim is None:
            return False
        return self.transport.publish(ticket.stream, ticket.seq, claim.document, Stages(style=style))

    def scripts_run(self) -> int:
        return int(self.transport._redis.info("commandstats")["cmdstat_evalsha"]["calls"])

    def captured(self, stream: str) -> int:
        return int(self.transport.stream_facts(stream).get("captured", 0))

    def card(self, stream: str) -> StreamRecord:
        (found,) = [card for card in self.transport.streams() if card.name == stream]
        return found


def sums_hold(card: StreamRecord) -> bool:
    whole = card.captured == card.dropped + card.painted + card.failed + card.in_flight
    return whole and (sum(card.drops.values()), sum(card.failures.values())) == (card.dropped, card.failed)
