"""`painter up`: server, workers, page and, on demand, Flower, all on this machine; ended together, in order.

Started page first, so that there is something to look at while networks load; ended page first, so that nothing new
comes while the rest ends. Every child dies with this process, however it dies (`pipeline/process/spawn.py`).
"""

import os
import subprocess
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from commands.options import BrokerUrl, Styles
from commands.page import Door, OpenPage, open_page, with_door
from jobs.supervisor import Supervisor, pause
from pipeline.errors import UsageError
from pipeline.process.config import runtime_dir, settings
from pipeline.process.spawn import painter, spawn
from pipeline.server.broker import Broker
from workers.devices import cores
from workers.local_workers import LocalWorkers
from workers.styles import Style, find_style, list_styles

_STOP_S = 5.0

Workers = Annotated[
    int | None, typer.Option(min=1, max=256, help="Worker processes in all. Default: one a core, or a style.")
]
Flower = Annotated[bool, typer.Option("--flower", help="Start Flower too.")]
FlowerPort = Annotated[int, typer.Option(min=1, max=65535, help="Flower's port, on this machine only.")]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Do not open the page in a browser.")]


@with_door
def up(
    door: Door,
    styles: Styles = "",
    workers: Workers = None,
    flower: Flower = False,
    flower_port: FlowerPort = 5555,
    no_browser: NoBrowser = False,
    broker: BrokerUrl = "",
) -> None:
    """Start everything on this machine: server, workers, page. Ctrl-C ends it all."""
    chosen = _chosen(styles)
    with Supervisor() as parts:
        opened = parts.open_server(broker)
        crew = LocalWorkers(opened, chosen, _crew_size(opened, chosen, workers), typer.echo)
        # Its end is registered before the page's, hence comes after it.
        parts.push(crew)
        if flower:
            parts.watch(_Flower(parts.enter_context(_flower(opened, flower_port))).poll)
        page = parts.enter_context(open_page(opened, door, chosen, settings()))
        _greet(page, flower_port if flower else None, browse=not no_browser)
        crew.__enter__()
        served = ", ".join(style.name for style in chosen if style.name not in crew.lost())
        typer.echo(f"ready    {served}; logs in {runtime_dir() / 'logs'}; Ctrl-C ends all")
        parts.watch(page.server.poll)
        parts.watch(crew.poll)
        parts.run(pause)


class _Flower:
    """Flower's process. The rest goes on without it; that it ended is said once."""

    def __init__(self, child: "subprocess.Popen[bytes]") -> None:
        self._child, self._is_missed = child, False

    def poll(self) -> None:
        """Say that Flower ended, if it did."""
        if not self._is_missed and self._child.poll() is not None:
            self._is_missed = True
            typer.echo(f"painter: Flower ended; its log is {runtime_dir() / 'logs' / 'flower.log'}", err=True)


def _chosen(names: str) -> list[Style]:
    found = [find_style(name.strip()) for name in names.split(",") if name.strip()] or list_styles()
    if not found:
        raise UsageError("there are no styles to serve; `painter train` makes one")
    return found


def _crew_size(broker: Broker, styles: Sequence[Style], workers: int | None) -> int | None:
    # A crew leaves the workers of a server it was told to its owner; `up` is the owner's word that they belong here.
    return workers or (max(cores(), len(styles)) if broker.is_foreign else None)


def _greet(page: OpenPage, flower_port: int | None, *, browse: bool) -> None:
    for address in page.addresses:
        typer.echo(f"page     {address}")
    if flower_port:
        typer.echo(f"flower   http://127.0.0.1:{flower_port}/")
    # Not with a token: other users of this machine could read it in the browser's command line.
    if browse and not page.needs_token and _has_browser():
        webbrowser.open(page.addresses[0])


def _has_browser() -> bool:
    """Whether there is a browser with a window; one for the terminal would take it from us."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    return isinstance(browser, webbrowser.BackgroundBrowser) or not isinstance(browser, webbrowser.GenericBrowser)


@contextmanager
def _flower(broker: Broker, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    logs = runtime_dir() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    # Through the environment: the URL may hold a password, and arguments are everybody's to read.
    env = {**os.environ, "BROKER_URL": broker.url, "PYTHONSAFEPATH": "1"}
    with (logs / "flower.log").open("wb") as output:
        child = spawn(painter("flower", "--port", str(port)), env=env, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
