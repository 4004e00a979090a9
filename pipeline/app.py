"""The Celery app of all processes: settings from `celeryconfig.py`, the broker from the caller or the environment.

The task is known by name only (`wire.TASK_NAME`); workers import its code, producers do not.
"""

from collections.abc import Sequence

from celery import Celery
from kombu.exceptions import OperationalError
from kombu.transport.redis import Transport as RedisTransport

from pipeline.connection import celery_options
from pipeline.errors import ServerFull, ServerGone
from pipeline.queues import queue_of
from pipeline.wire import LEAVE, TASK_NAME, Ticket

_FULL: tuple[type[Exception], ...] = tuple(RedisTransport.channel_errors)
_GONE: tuple[type[Exception], ...] = (OperationalError, *RedisTransport.connection_errors)


def create_app(broker_url: str = "") -> Celery:
    """Return the app. `broker_url` overrides what `celeryconfig.py` finds in the environment."""
    app = Celery("power-painter", set_as_current=False)
    app.config_from_object("celeryconfig")
    if broker_url:
        tls, sentinels = celery_options(broker_url)
        transport_options = {**app.conf.broker_transport_options, **sentinels}
        app.conf.update(broker_url=broker_url, broker_use_ssl=tls, broker_transport_options=transport_options)
    return app


def tell_to_leave(app: Celery, workers: Sequence[str]) -> None:
    """Have workers finish what they hold and leave. Raises `ServerGone`; telling them twice does no harm."""
    try:
        app.control.broadcast(LEAVE, destination=list(workers))
    except _GONE as error:
        raise ServerGone(str(error)) from error


def send_ticket(app: Celery, style: str, ticket: Ticket) -> None:
    """Queue a ticket for `style`. Raises `ServerGone` or `ServerFull`; sending again later does no harm."""
    try:
        app.send_task(
            TASK_NAME,
            args=ticket.to_args(),
            queue=queue_of(style, live=ticket.live),
            # Shown in Flower and logs in place of the arguments, which without it travel in the headers a second time.
            argsrepr=f"({ticket.stream}, {ticket.seq}, attempt {ticket.attempt})",
            kwargsrepr="{}",
            retry=False,
        )
    except _FULL as error:
        raise ServerFull(str(error)) from error
    except _GONE as error:
        raise ServerGone(str(error)) from error
