"""A stand-in for Celery: tickets go, with their frames, to one list of the real server and are read from there."""

import msgpack
import redis

from pipeline.protocol.wire import Message, Ticket
from pipeline.server.transport import Transport

QUEUE = "tickets"
#: The ticket of a frame that only has to be in flight.
ANY = Message("nobodys", b"")


class Tickets:
    """`pack` is what a producer is given; `taken` is every ticket queued so far, with its style."""

    def __init__(self, transport: Transport) -> None:
        self._redis: redis.Redis = transport._redis
        self._taken: list[tuple[str, Ticket]] = []

    def pack(self, style: str, ticket: Ticket) -> Message:
        return Message(QUEUE, msgpack.packb([style, ticket.to_args()]))

    @property
    def taken(self) -> list[tuple[str, Ticket]]:
        try:
            while (raw := self._redis.rpop(QUEUE)) is not None:
                style, args = msgpack.unpackb(raw)
                self._taken.append((style, Ticket.from_args(args)))
        except redis.ConnectionError:
            pass  # a server that is away; the next look tells
        return self._taken
