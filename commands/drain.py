"""`painter drain`: a machine's workers finish what they hold and leave; frames that wait are painted elsewhere."""

import time
from typing import Annotated

import typer

from commands.options import BrokerUrl
from jobs.report import counted
from pipeline.errors import UsageError, WorkerLost
from pipeline.server.app import ask_to_leave, create_app
from pipeline.server.broker import Broker, open_broker

_POLL_S = 0.2
# A worker that was just reconnecting has not heard the first word.
_AGAIN_S = 3.0

Host = Annotated[str, typer.Argument(metavar="HOST", help="The machine, as painter status names it.")]
Timeout = Annotated[float, typer.Option(metavar="SECONDS", min=1, help="How long to wait for it to be gone.")]


def drain(host: Host, timeout: Timeout = 60.0, broker: BrokerUrl = "") -> None:
    """Let a machine finish and leave. Its `painter work` ends; start it again to bring the machine back."""
    with open_broker(broker) as server:
        names = _workers(server, host)
        if not names:
            hosts = sorted({beat.host for beat in server.transport.workers()})
            there = f"there are workers on {', '.join(hosts)}" if hosts else "there are no workers at all"
            raise UsageError(f"no worker on {host}; {there}")
        finish = "finishes what it holds" if len(names) == 1 else "finish what they hold"
        typer.echo(f"{counted(len(names), 'worker')} of {host} {finish}")
        _wait(server, host, timeout)
        typer.echo(f"{host} has left")


def _wait(server: Broker, host: str, timeout_s: float) -> None:
    app = create_app(server.url)
    deadline, again = time.monotonic() + timeout_s, 0.0
    while names := _workers(server, host):
        now = time.monotonic()
        if now > deadline:
            raise WorkerLost(f"still there after {timeout_s:.0f} s: {', '.join(names)}")
        if now > again:
            ask_to_leave(app, names)
            again = now + _AGAIN_S
        time.sleep(_POLL_S)


def _workers(server: Broker, host: str) -> list[str]:
    return [beat.name for beat in server.transport.workers() if beat.host == host]
