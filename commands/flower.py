"""`painter flower`: Flower on our workers, with our settings; closed to other machines unless it has a password."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from commands.options import BrokerUrl
from pipeline.errors import UsageError
from pipeline.server.app import create_app
from pipeline.server.broker import open_broker

#: Set apart by name, so that nothing is resolved to find out: any other name may be an outer interface.
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

Host = Annotated[str, typer.Option(help="Interface to listen on. Any but this machine's own needs --basic-auth.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]
BasicAuth = Annotated[
    str,
    typer.Option(
        metavar="USER:PASSWORD", envvar="FLOWER_BASIC_AUTH", help="Who may look; the variable keeps it out of ps."
    ),
]
Certificate = Annotated[Path | None, typer.Option(help="TLS certificate (PEM); needs --keyfile.", exists=True)]
Key = Annotated[Path | None, typer.Option(help="TLS key (PEM); needs --certfile.", exists=True)]


def flower(
    host: Host = "127.0.0.1",
    port: Port = 5555,
    basic_auth: BasicAuth = "",
    certfile: Certificate = None,
    keyfile: Key = None,
    broker: BrokerUrl = "",
) -> None:
    """Watch the workers in Flower: who paints which style, how many frames, how long each takes."""
    argv = flower_argv(host, port, basic_auth=basic_auth, certfile=certfile, keyfile=keyfile)
    with open_broker(broker) as server:
        typer.echo(f"Flower on {'https' if certfile else 'http'}://{host}:{port}", err=True)
        # It does return, whatever its stub says.
        start: Callable[[list[str]], object] = create_app(server.url).start
        start(argv)
    # Its threads may be asking the workers something: of a server that is gone they would ask for ever, and Python's
    # own way out waits for them (two of twelve ended so).
    sys.stdout.flush()
    os._exit(0)


def flower_argv(
    host: str, port: int, *, basic_auth: str = "", certfile: Path | None = None, keyfile: Path | None = None
) -> list[str]:
    """Return the arguments of `celery`. Raises `UsageError` for an open door or half a TLS set-up."""
    if basic_auth and not all(all(one.partition(":")) for one in basic_auth.split(",")):
        raise UsageError("--basic-auth is user:password, several joined by commas")
    if host not in _LOOPBACK and not basic_auth:
        raise UsageError(
            f"--host {host} lets other machines in: give --basic-auth user:password (or FLOWER_BASIC_AUTH)"
        )
    if (certfile is None) != (keyfile is None):
        raise UsageError("TLS needs both --certfile and --keyfile")
    settings = Path(__file__).resolve().parent.parent / "flowerconfig.py"
    argv = ["--quiet", "flower", f"--conf={settings}", f"--address={host}", f"--port={port}"]
    if basic_auth:
        argv.append(f"--basic-auth={basic_auth}")
    if certfile and keyfile:
        argv += [f"--certfile={certfile}", f"--keyfile={keyfile}"]
    return argv
