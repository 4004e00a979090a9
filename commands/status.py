"""`painter status`: the fleet on one screen, as JSON, or for Prometheus. It only looks; it starts nothing."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from itertools import islice
from typing import Annotated

import typer
from rich.console import Console, Group, JustifyMethod
from rich.live import Live
from rich.table import Table
from rich.text import Text

from commands.options import BrokerUrl
from fleet.prometheus import serve_metrics
from fleet.stats import FleetStats, FleetTracker, StreamLine, slot_of, take_snapshot
from pipeline.errors import ServerUnreachable, UsageError
from pipeline.process.config import broker_url
from pipeline.protocol.frame import Mode, style_label
from pipeline.protocol.records import DropReason, Heartbeat, StreamRecord
from pipeline.server.connection import require_server, without_password
from pipeline.server.transport import Transport
from workers.styles import list_styles

# Workers beat every 2 s; rates over less would jump.
_LOOK_S = 1.0
# Columns of words; all others hold numbers.
_NAMES = {"host", "slot", "device", "style", "stream"}
_WORDS = {*_NAMES, "mode", "size"}

Watch = Annotated[bool, typer.Option("--watch", "-w", help="Go on until stopped.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object; with --watch one a line and second.")]
MetricsPort = Annotated[
    int | None,
    typer.Option("--metrics", metavar="PORT", min=1, max=65535, help="Serve the numbers to Prometheus instead."),
]
Host = Annotated[str, typer.Option(help="Interface of --metrics. It has no password and shows no pictures.")]


def status(
    watch: Watch = False,
    as_json: Json = False,
    metrics: MetricsPort = None,
    host: Host = "127.0.0.1",
    broker: BrokerUrl = "",
) -> None:
    """Show hosts, workers, queues and streams: who paints what, how fast, and what waits."""
    if metrics and (watch or as_json):
        raise UsageError("--metrics goes alone: Prometheus asks when it wants to know")
    url = _server(broker)
    styles = [style.name for style in list_styles()]
    with closing(Transport.connect(url)) as transport:
        if metrics:
            serve_metrics(transport, styles, host, metrics)
        looks = islice(_looks(transport, styles), None if watch else 1)
        if as_json:
            for seen in looks:
                typer.echo(json.dumps(report(seen, url)))
        else:
            _draw(looks, url, watch=watch)


def report(seen: FleetStats, url: str) -> dict[str, object]:
    """Return the fleet's statistics as `--json` prints it."""
    return {
        "server": {"url": without_password(url), "used_bytes": seen.used_bytes, "max_bytes": seen.max_bytes},
        "workers": [{**asdict(beat), "slot": slot_of(beat)} for beat in seen.workers],
        "styles": [asdict(line) for line in seen.styles],
        "streams": [
            {**asdict(line.card), "fps": line.fps, "dropped_fps": line.dropped_fps, "delay_ms": line.delay_ms}
            for line in seen.streams
        ],
    }


def _server(url: str) -> str:
    if not (url := url or broker_url()):
        raise ServerUnreachable("no server runs here; `painter up` starts one, BROKER_URL or --broker names another")
    require_server(url)
    return url


def _looks(transport: Transport, styles: list[str]) -> Iterator[FleetStats]:
    tracker = FleetTracker()
    tracker.update(take_snapshot(transport, styles))
    while True:
        time.sleep(_LOOK_S)
        yield tracker.update(take_snapshot(transport, styles))


def _draw(looks: Iterator[FleetStats], url: str, *, watch: bool) -> None:
    console = Console(highlight=False)
    if not watch:
        console.print(_screen(next(looks), url))
        return
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        for seen in looks:
            live.update(_screen(seen, url), refresh=True)


def _screen(seen: FleetStats, url: str) -> Group:
    bound = f" of {_megabytes(seen.max_bytes)}" if seen.max_bytes else ""
    hosts = len({beat.host for beat in seen.workers})
    fps = sum(beat.fps for beat in seen.workers)
    # A line of its own: the embedded server's socket has a long path. `--json` has it whole, however long.
    address = Text(without_password(url), no_wrap=True, overflow="ellipsis")
    crew = f"workers {len(seen.workers)}   hosts {hosts}   {fps:.1f} FPS   memory {_megabytes(seen.used_bytes)}{bound}"
    troubles = [Text(line.trouble, style="bold red") for line in seen.styles if line.trouble]
    losses = [_losses(line.card) for line in seen.streams if line.card.drops or line.card.failures]
    return Group(address, crew, _styles(seen), *troubles, _workers(seen.workers), _streams(seen.streams), *losses)


def _styles(seen: FleetStats) -> Table:
    table = _table("style", "workers", "wanted", "FPS", "queued", "queued live")
    for line in seen.styles:
        short = "bold red" if line.wanted > line.workers else ""
        row = (line.workers, line.wanted, f"{line.fps:.1f}", line.queued, line.queued_live)
        table.add_row(line.style, *map(str, row), style=short)
    return table


def _workers(beats: Sequence[Heartbeat]) -> Table:
    table = _table("host", "slot", "device", "style", "FPS", "busy", "memory", "painted")
    for beat in beats:
        numbers = (f"{beat.fps:.1f}", f"{beat.busy:.0%}", _megabytes(beat.rss_bytes), str(beat.painted))
        table.add_row(beat.host, slot_of(beat), beat.device, beat.style or beat.note, *numbers)
    return table


def _streams(lines: Sequence[StreamLine]) -> Table:
    table = _table("stream", "mode", "style", "size", "FPS", "delay", "painted", "dropped", "failed", "in flight")
    for line in lines:
        card = line.card
        style = style_label(card.style, card.look)
        size = f"{card.width}×{card.height}" if card.width else ""
        delay = "" if line.delay_ms is None else f"{line.delay_ms} ms"
        painted = f"{card.painted}/{card.frames}" if card.frames else str(card.painted)
        # A file waits instead: nothing of it is ever dropped.
        dropped = str(card.dropped) if card.mode == Mode.LIVE else ""
        counts = (f"{line.fps:.1f}", delay, painted, dropped, str(card.failed), str(card.in_flight))
        table.add_row(card.name, card.mode, style, size, *counts, style="bold red" if card.failed else "")
    return table


def _losses(card: StreamRecord) -> Text:
    """Return why a stream lost frames, as in `desk: dropped for capacity 9, no worker 2; failed for timeout 1`."""
    both = (("dropped", card.drops), ("failed", card.failures))
    parts = [f"{fate} for {_by_cause(losses)}" for fate, losses in both if losses]
    return Text(f"{card.name}: {'; '.join(parts)}", no_wrap=True, overflow="ellipsis")


def _by_cause(losses: Mapping[DropReason, int]) -> str:
    return ", ".join(f"{cause.replace('_', ' ')} {count}" for cause, count in losses.items())


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        justify: JustifyMethod = "left" if column in _WORDS else "right"
        # On a narrow screen names give way, and numbers with their headings stay whole.
        table.add_column(column, justify=justify, overflow="ellipsis", no_wrap=column not in _NAMES)
    return table


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"
