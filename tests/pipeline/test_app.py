"""A ticket's message is Celery's own, though the transport queues it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from pipeline.protocol.queues import queue_of
from pipeline.protocol.wire import TASK_NAME, Ticket
from pipeline.server.app import create_app, message_of
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport

#: Of each message its own; `argsrepr` is what Celery makes of the arguments when nobody says.
UNIQUE = {"headers.id", "headers.root_id", "properties.correlation_id", "properties.delivery_tag"}
#: `send_task` leaves options of the call among the properties, and an address for a result we never ask for.
EMPTY_HERE = {"properties.argsrepr", "properties.kwargsrepr", "properties.reply_to", "headers.ignore_result"}


@pytest.fixture
def app(server: EmbeddedServer) -> Iterator[Celery]:
    made = create_app(server.url)
    yield made
    made.close()


def leaves(found: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Return a message's values by their dotted names."""
    flat: dict[str, Any] = {}
    for name, value in found.items():
        flat |= leaves(value, f"{path}{name}.") if isinstance(value, dict) else {f"{path}{name}": value}
    return flat


def queued(transport: Transport, queue: str) -> list[dict[str, Any]]:
    """Return the messages of a queue, oldest first."""
    return [json.loads(raw) for raw in reversed(transport._redis.lrange(queue, 0, -1))]


def test_a_tickets_message_is_the_one_celery_would_send(app: Celery, transport: Transport) -> None:
    ticket = Ticket("clip", 7, 2, live=True)
    queue = queue_of("wave", live=True)
    app.send_task(
        TASK_NAME, args=ticket.to_args(), queue=queue, argsrepr="(clip, 7, attempt 2)", kwargsrepr="{}", retry=False
    )
    transport.submit("clip", 7, b"pixels", message_of(app, "wave", ticket))
    theirs, ours = (leaves(message) for message in queued(transport, queue))
    assert {name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name)} <= UNIQUE | EMPTY_HERE
    assert not any(ours.get(name) for name in EMPTY_HERE)
    assert len({ours[name] for name in UNIQUE}) == 2  # the task's id, and that of its delivery


def test_a_frame_and_its_ticket_arrive_together_or_not_at_all(app: Celery, transport: Transport) -> None:
    ticket = message_of(app, "wave", Ticket("clip", 0, 1))
    assert transport.submit("clip", 0, b"pixels", ticket)
    (score,) = transport.in_flight("clip", ticket.queue).scores.values()
    assert transport.claim("clip", 0, 1000) is not None
    assert not transport.submit("clip", 0, b"pixels", ticket, expected=score)
    assert len(queued(transport, ticket.queue)) == 1
