"""`painter view`: the page. Watch, switch styles, hand in a camera or a file; workers run elsewhere."""

import time

import typer

from commands.page import BrokerUrl, Door, open_page, with_door
from pipeline.process.config import settings
from pipeline.server.broker import open_broker
from workers.styles import list_styles

_POLL_S = 0.2


@with_door
def view(
    door: Door,
    broker: BrokerUrl = "",
) -> None:
    """Serve the page until stopped."""
    with open_broker(broker) as opened, open_page(opened, door, list_styles(), settings()) as page:
        for address in page.addresses:
            typer.echo(f"page     {address}")
        while True:
            page.server.poll()
            if opened.embedded is not None:
                opened.embedded.poll()
            time.sleep(_POLL_S)
