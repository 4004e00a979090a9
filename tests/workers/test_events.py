"""Task events leave a worker together, none is lost, and each keeps its own time."""

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from kombu.asynchronous import Hub, set_event_loop

from pipeline.server.app import create_app
from pipeline.server.embedded import EmbeddedServer
from tests.waiting import WaitUntil
from workers.events import GatheringDispatcher

EVENTS = 50


@pytest.fixture
def loop() -> Iterator[Hub]:
    hub = Hub()
    set_event_loop(hub)
    yield hub
    set_event_loop(None)
    hub.close()


def turn(loop: Hub) -> None:
    """Let the loop do what is ready and what is due."""
    for callback in loop._pop_ready():
        callback()
    loop.fire_timers()


def test_events_of_a_moment_leave_in_one_message(server: EmbeddedServer, loop: Hub, wait_until: WaitUntil) -> None:
    app = create_app(server.url)
    app.events.dispatcher_cls = "workers.events:GatheringDispatcher"
    sent: list[tuple[str, list[dict[str, Any]]]] = []
    with app.connection_for_write() as connection:
        dispatcher = app.events.Dispatcher(connection, buffer_group=["task"], on_send_buffered=lambda: None)
        assert isinstance(dispatcher, GatheringDispatcher)
        dispatcher.producer.publish = lambda events, routing_key, **_: sent.append((routing_key, list(events)))
        began = time.time()
        for number in range(EVENTS):
            dispatcher.send("task-received", uuid=str(number))
            turn(loop)
        in_time = time.time() - began < 0.1
        if in_time:  # else this machine stood still meanwhile
            assert sent == []
        wait_until(lambda: turn(loop) or sum(len(events) for _, events in sent) == EVENTS, 5)
    ((kind, events),) = sent if in_time else (("task.multi", [event for _, some in sent for event in some]),)
    assert kind == "task.multi"
    assert [event["uuid"] for event in events] == [str(number) for number in range(EVENTS)]
    assert all(later["timestamp"] >= sooner["timestamp"] for sooner, later in pairwise(events))
    app.close()
