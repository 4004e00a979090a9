"""`painter view`: the page. Watch, switch styles, hand in a camera or a file; workers run elsewhere."""

import time

import typer

from commands.broker import open_broker
from commands.page import (
    AllowHost,
    BrokerUrl,
    Door,
    Host,
    Port,
    TlsCert,
    TlsKey,
    TlsSelfSigned,
    Token,
    open_page,
)
from pipeline.config import settings
from workers.styles import list_styles

_POLL_S = 0.2


def view(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    token: Token = "",
    allow_host: AllowHost = [],  # noqa: B006 - Typer's way to say "none given"
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_self_signed: TlsSelfSigned = False,
    broker: BrokerUrl = "",
) -> None:
    """Serve the page until stopped."""
    door = Door(host, port, token, tuple(allow_host), tls_cert, tls_key, tls_self_signed)
    with open_broker(broker) as opened, open_page(opened, door, list_styles(), settings()) as page:
        for address in page.addresses:
            typer.echo(f"page     {address}")
        while True:
            page.server.poll()
            if opened.embedded is not None:
                opened.embedded.poll()
            time.sleep(_POLL_S)
