"""`painter view`: the page. Watch, switch styles, hand in a camera or a file; workers run elsewhere."""

import typer

from commands.options import BrokerUrl
from commands.page import Door, open_page, with_door
from jobs.supervisor import Supervisor, pause
from pipeline.process.config import settings
from workers.styles import list_styles


@with_door
def view(
    door: Door,
    broker: BrokerUrl = "",
) -> None:
    """Serve the page until stopped."""
    with Supervisor() as parts:
        page = parts.enter_context(open_page(parts.open_server(broker), door, list_styles(), settings()))
        parts.watch(page.server.poll)
        for address in page.addresses:
            typer.echo(f"page     {address}")
        parts.run(pause)
