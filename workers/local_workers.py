"""The workers one `painter paint` brings along: started when nobody serves its styles, ended with it."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from pipeline.flow.placement import Plan, place, require_room
from pipeline.flow.worker_health import why_nobody_paints
from pipeline.process.config import runtime_dir, settings
from pipeline.protocol.records import Heartbeat
from pipeline.server.broker import Broker
from workers.devices import Nvml, cores, find_devices
from workers.launch import Launcher
from workers.styles import Style


class LocalWorkers:
    """Own workers for the styles nobody serves; with `workers` given, for all styles, so many in all."""

    def __init__(
        self, broker: Broker, styles: Sequence[Style], workers: int | None, say: Callable[[str], None]
    ) -> None:
        self._broker, self._say = broker, say
        beats = broker.transport.workers()
        served = {beat.style for beat in beats}
        wanted = [style for style in styles if workers is not None or style.name not in served]
        if wanted and workers is None and broker.is_foreign:
            _say_who_is_missing([style.name for style in wanted], beats, say)
            wanted = []
        self._fleet = self._prepare(wanted, workers)

    def __enter__(self) -> Self:
        if self._fleet is not None:
            self._fleet.start(self._broker.transport.workers())
            try:
                self._fleet.wait_ready(self._broker.transport)
            except BaseException:
                self._fleet.stop()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fleet is not None:
            self._fleet.stop()

    def poll(self) -> None:
        """Start dead workers again. Raises `WorkerLost` when that does not help."""
        if self._fleet is not None:
            self._fleet.poll()

    def _prepare(self, styles: Sequence[Style], workers: int | None) -> Launcher | None:
        if not styles:
            return None
        conf = settings()
        devices = find_devices(conf.devices, visible=conf.cuda_visible_devices, gpus=Nvml())
        if not devices and workers is None:
            workers = max(cores(), len(styles))
        plan: Plan = place(
            [style.name for style in styles], devices, cores=cores(), per_device=conf.per_device, workers=workers
        ).on_threads(conf.threads)
        require_room(plan, conf.tile_mb)
        for message in plan.messages:
            self._say(message)
        weights = {style.name: path for style in styles if (path := style.own_weights)}
        return Launcher(plan, self._broker.url, weights=weights, logs=runtime_dir() / "logs")


def _say_who_is_missing(styles: Sequence[str], beats: Sequence[Heartbeat], say: Callable[[str], None]) -> None:
    away = {beat.away_from for beat in beats}
    for style in styles:
        if style in away:
            say(why_nobody_paints(style, beats))
    if never := ",".join(style for style in styles if style not in away):
        say(f"waiting for a worker of {never}; start one: painter work --styles {never}")
