"""`painter work`: this machine's workers, planned, started, watched and ended."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from commands.options import BrokerUrl, Styles
from fleet.rebalancer import Rebalancer
from jobs.report import counted
from jobs.supervisor import Supervisor, pause
from pipeline.errors import UsageError
from pipeline.flow.placement import Plan, place, require_room
from pipeline.process.config import runtime_dir, settings
from pipeline.server.broker import Broker
from workers.devices import Nvml, cores, find_devices
from workers.launch import Launcher
from workers.styles import Style, find_style, list_styles

Devices = Annotated[
    str,
    typer.Option(metavar="auto|cpu|0,1,…", help="Devices to use. Default: PAINTER_DEVICES, else every GPU, else CPU."),
]
PerDevice = Annotated[
    int | None, typer.Option(min=1, max=16, help="Models on each GPU. Default: PAINTER_PER_DEVICE, else 2.")
]
Workers = Annotated[int | None, typer.Option(min=1, max=256, help="Processes in all. Default: one a slot, or a style.")]
FollowDemand = Annotated[
    bool, typer.Option("--follow-demand", help="Give slots of styles nobody waits for to those somebody waits for.")
]
PlanOnly = Annotated[bool, typer.Option("--plan", help="Show where everything would run, and start nothing.")]


def work(
    devices: Devices = "",
    per_device: PerDevice = None,
    styles: Styles = "",
    workers: Workers = None,
    follow_demand: FollowDemand = False,
    plan: PlanOnly = False,
    broker: BrokerUrl = "",
) -> None:
    """Serve styles with this machine's devices until stopped."""
    conf = settings()
    chosen = _chosen(styles)
    placed = place(
        [style.name for style in chosen],
        find_devices(devices or conf.devices, visible=conf.cuda_visible_devices, gpus=Nvml()),
        cores=cores(),
        per_device=per_device or conf.per_device,
        workers=workers,
    ).on_threads(conf.threads)
    require_room(placed, conf.tile_mb)
    console = Console(highlight=False)
    console.print(_table(placed))
    for message in placed.messages:
        console.print(message, soft_wrap=True)
    if not plan:
        with Supervisor() as parts:
            _serve(parts, parts.open_server(broker), placed, chosen, console, follow_demand=follow_demand)


def _chosen(names: str) -> list[Style]:
    if not names:
        if not (found := list_styles()):
            raise UsageError("there are no styles to serve; `painter train` makes one")
        return found
    return [find_style(name.strip()) for name in names.split(",") if name.strip()]


def _serve(
    parts: Supervisor,
    broker: Broker,
    plan: Plan,
    styles: Sequence[Style],
    console: Console,
    *,
    follow_demand: bool = False,
) -> None:
    logs = runtime_dir() / "logs"
    weights = {style.name: path for style in styles if (path := style.own_weights)}
    fleet = Launcher(plan, broker.url, weights=weights, logs=logs)
    fleet.on_failure = lambda why: console.print(f"painter: {why}", soft_wrap=True, style="bold red", markup=False)
    names = [style.name for style in styles]
    follower = Rebalancer(broker.transport, fleet, names, every_s=settings().follow_s) if follow_demand else None
    if follower is not None:
        follower.require_role()
    try:
        fleet.start(broker.transport.workers())
        fleet.wait_ready(broker.transport)
        ready = counted(len(fleet.pids), "worker")
        console.print(f"{ready} ready; logs are in {logs}. Ctrl-C ends them.", soft_wrap=True)
        parts.watch(fleet.poll)
        if follower is not None:
            parts.watch(partial(_follow, follower, console))
        parts.run(lambda seconds: fleet.is_drained or pause(seconds))
        console.print("drained: every worker has left")
    except KeyboardInterrupt:
        console.print("ending the workers; each finishes its frame")
        raise
    finally:
        fleet.stop()


def _follow(follower: Rebalancer, console: Console) -> None:
    if (rename := follower.poll()) is not None:
        console.print(f"{rename.old} makes room for {rename.new}", soft_wrap=True)


def _table(plan: Plan) -> Table:
    table = Table("device", "free memory", "slot", "style", "engine threads", "frames at once")
    for slot in sorted(plan.slots, key=lambda slot: (slot.device.label, slot.number)):
        free = "" if slot.device.free_mb is None else f"{slot.device.free_mb} MB"
        table.add_row(slot.device.label, free, slot.place, slot.style, str(slot.threads), str(slot.concurrency))
    return table
