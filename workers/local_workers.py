"""The workers one command brings along: started when nobody serves its styles, ended with it.

Workers that others brought may leave at any time; then own ones take their place after some seconds.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from pipeline.errors import PipelineError, WorkerLost
from pipeline.flow.placement import Plan, place, require_room
from pipeline.flow.worker_health import why_nobody_paints
from pipeline.process.config import runtime_dir, settings
from pipeline.protocol.records import Heartbeat
from pipeline.server.broker import Broker
from workers.devices import Nvml, cores, find_devices
from workers.launch import Launcher
from workers.styles import Style

# How often the styles' workers are looked for, and how long a style may have none: longer than a worker takes to start
# again (2 to 3 s on two cores).
_LOOK_S = 1.0
_UNSERVED_S = 4.0


class LocalWorkers:
    """Own workers for the styles nobody serves; with `workers` given, for all styles, so many in all."""

    def __init__(
        self,
        broker: Broker,
        styles: Sequence[Style],
        workers: int | None,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker, self._say, self._clock = broker, say, clock
        beats = broker.transport.workers()
        served = {beat.style for beat in beats}
        wanted = [style for style in styles if workers is not None or style.name not in served]
        if wanted and workers is None and broker.is_foreign:
            _say_who_is_missing([style.name for style in wanted], beats, say)
            wanted = []
        # On a server the user named, workers are the user's affair.
        self._left_to_others = [] if broker.is_foreign else [style for style in styles if style not in wanted]
        self._unserved_s: dict[str, float] = {}
        self._next_look_s = float("-inf")
        self._served: frozenset[str] = frozenset(served)
        self._fleets = [self._prepare(wanted, workers)] if wanted else []

    def __enter__(self) -> Self:
        for fleet in self._fleets:
            fleet.start(self._broker.transport.workers())
            try:
                fleet.wait_ready(self._broker.transport)
            except BaseException:
                fleet.stop()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for fleet in self._fleets:
            fleet.stop()

    def poll(self) -> None:
        """Start dead workers again, and own ones for styles whose workers left."""
        for fleet in self._fleets:
            try:
                fleet.poll()
            except WorkerLost:
                # Said by `on_failure` when it happened; `lost` tells whom it concerns.
                continue
        if self._clock() >= self._next_look_s:
            self._next_look_s = self._clock() + _LOOK_S
            self._look()

    def lost(self) -> Mapping[str, str]:
        """Return the styles that nobody paints because our own workers failed, and why."""
        failures: dict[str, str] = {}
        for fleet in self._fleets:
            failures |= fleet.failures
        return {style: why for style, why in failures.items() if style not in self._served}

    def _look(self) -> None:
        try:
            beats = self._broker.transport.workers()
        except PipelineError:
            # Nobody is to be judged by a server that does not answer.
            self._unserved_s.clear()
            return
        now_s = self._clock()
        self._served = frozenset(beat.style for beat in beats)
        unserved = {style.name for style in self._left_to_others} - self._served
        self._unserved_s = {name: self._unserved_s.get(name, now_s) for name in unserved}
        if due := {name for name, since_s in self._unserved_s.items() if now_s - since_s >= _UNSERVED_S}:
            self._replace(due, beats)

    def _replace(self, names: set[str], beats: Sequence[Heartbeat]) -> None:
        styles = [style for style in self._left_to_others if style.name in names]
        self._left_to_others = [style for style in self._left_to_others if style.name not in names]
        self._say(f"nobody paints {', '.join(sorted(names))} any more; starting workers of our own")
        try:
            fleet = self._prepare(styles, None)
        except PipelineError as error:
            self._say(str(error))
            return
        self._fleets.append(fleet)
        fleet.start(beats)

    def _prepare(self, styles: Sequence[Style], workers: int | None) -> Launcher:
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
        fleet = Launcher(plan, self._broker.url, weights=weights, logs=runtime_dir() / "logs")
        fleet.on_failure = self._say
        return fleet


def _say_who_is_missing(styles: Sequence[str], beats: Sequence[Heartbeat], say: Callable[[str], None]) -> None:
    away = {beat.away_from for beat in beats}
    for style in styles:
        if style in away:
            say(why_nobody_paints(style, beats))
    if never := ",".join(style for style in styles if style not in away):
        say(f"waiting for a worker of {never}; start one: painter work --styles {never}")
