"""A bench for live streams, and a reader of what was painted."""

from collections.abc import Iterator

import pytest

from pipeline.server.transport import Transport
from tests.producer.bench import LIMITS, Bench
from viewer.broadcast import Broadcast


@pytest.fixture
def bench(transport: Transport) -> Bench:
    return Bench(transport)


@pytest.fixture
def broadcast(transport: Transport) -> Iterator[Broadcast]:
    reader = Broadcast(transport, limits=LIMITS)
    reader.start()
    yield reader
    reader.stop()
