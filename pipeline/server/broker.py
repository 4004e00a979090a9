"""Which server a command talks to: the one it was told, else the embedded one, joined or started."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from pipeline.process.config import settings
from pipeline.protocol.wire import Message, Ticket
from pipeline.server.app import create_app, message_of
from pipeline.server.connection import require_server
from pipeline.server.shared_server import SharedServer, join_or_start
from pipeline.server.transport import Transport


@dataclass(frozen=True, slots=True)
class Broker:
    """A server that answers. `embedded`: set where commands share one of their own; whoever uses it polls it.

    `is_foreign`: named by the user, so its workers are the user's affair too.
    """

    url: str
    transport: Transport
    pack: Callable[[str, Ticket], Message]
    embedded: SharedServer | None
    is_foreign: bool = False


@contextmanager
def open_broker(url: str = "") -> Iterator[Broker]:
    """Yield the server at `url`, else at `BROKER_URL`, else the embedded one. Raises `ServerUnreachable`."""
    if url := url or settings().broker_url:
        require_server(url)
        yield from _opened(url, None, is_foreign=True)
    else:
        with join_or_start() as (url, embedded):
            yield from _opened(url, embedded, is_foreign=False)


def _opened(url: str, embedded: SharedServer | None, *, is_foreign: bool) -> Iterator[Broker]:
    transport = Transport.connect(url)
    try:
        yield Broker(url, transport, partial(message_of, create_app(url)), embedded, is_foreign)
    finally:
        transport.close()
