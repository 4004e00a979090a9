"""Another release of ours beside this one: `python -m tests.fleet.newer RELEASE painter|celery …`.

newer      sends tickets of the next version, and reads those of all, as the release after this one would
older      reads tickets up to version 2, as the release without a brush did
impatient  this release, but a worker that left its queues looks again after half a second
"""

import sys
from dataclasses import replace
from typing import Any

from celery.__main__ import main as celery

import cli
import workers.tasks
from pipeline.protocol import wire
from pipeline.protocol.wire import WIRE_VERSION, Ticket

_read, _write = Ticket.from_args, Ticket.to_args


def _written(ticket: Ticket) -> list[Any]:
    return [WIRE_VERSION + 1, *_write(replace(ticket, version=WIRE_VERSION))[1:]]


def main() -> None:
    """Change what the release changes, then run the command."""
    release, command, *words = sys.argv[1:]
    if release == "newer":
        Ticket.to_args = _written  # type: ignore[method-assign]
        Ticket.from_args = lambda args: _read([min(args[0], WIRE_VERSION), *args[1:]])  # type: ignore[method-assign, assignment]
    elif release == "older":
        wire.WIRE_VERSION = 2
    else:
        workers.tasks._AWAY_S = 0.5
    sys.argv = [command, *words]
    {"painter": cli.main, "celery": celery}[command]()


if __name__ == "__main__":
    main()
