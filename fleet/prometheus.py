"""The fleet's statistics for Prometheus, on a port of its own: for autoscalers, alerts and boards where no page runs.

One scrape, one snapshot; rates span 5 s, at least from one scrape to the next. While the server is away `painter_up`
is 0 and the rest is left out, so that an alert can tell "nothing to do" from "nobody knows".
"""

import threading
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric

from fleet.exposition import STREAM, WORKER, stream_families, stream_labels, worker_families, worker_labels
from fleet.stats import FleetStats, FleetTracker, take_snapshot
from pipeline.errors import ServerFull, ServerGone, UsageError
from pipeline.flow.metrics import buckets
from pipeline.server.transport import Transport


def serve_metrics(transport: Transport, styles: Sequence[str], host: str, port: int) -> None:
    """Answer scrapes until stopped. Raises `UsageError` when the port cannot be had."""
    registry = CollectorRegistry()
    registry.register(FleetCollector(transport, styles))
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise UsageError(f"--metrics {host}:{port}: {error.strerror or error}") from error
    try:
        thread.join()
    finally:
        server.shutdown()
        server.server_close()


class FleetCollector:
    """A collector. Scrapes may overlap; they share the snapshots before, and follow one another in taking theirs."""

    def __init__(self, transport: Transport, styles: Sequence[str]) -> None:
        self._transport, self._styles = transport, styles
        self._lock = threading.Lock()
        self._tracker = FleetTracker()

    def describe(self) -> list[Metric]:
        """Return nothing: the names are known at a scrape, and the server need not answer before."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        try:
            with self._lock:
                seen = self._tracker.update(take_snapshot(self._transport, self._styles))
        except (ServerGone, ServerFull):
            yield GaugeMetricFamily("painter_up", "1 while the frame server answers", 0)
            return
        yield GaugeMetricFamily("painter_up", "1 while the frame server answers", 1)
        yield GaugeMetricFamily("painter_server_used_bytes", "memory of the server", seen.used_bytes)
        yield GaugeMetricFamily("painter_server_max_bytes", "its bound, 0 without one", seen.max_bytes)
        yield from _styles(seen)
        yield from _workers(seen)
        yield from _streams(seen)


def _styles(seen: FleetStats) -> Iterator[Metric]:
    of = ["style"]
    workers = GaugeMetricFamily("painter_workers", "workers that serve a style", labels=of)
    wanted = GaugeMetricFamily("painter_wanted_workers", "workers a style could use now", labels=of)
    queued = GaugeMetricFamily("painter_queue_length", "tickets that wait", labels=[*of, "mode"])
    for line in seen.styles:
        workers.add_metric([line.style], line.workers)
        wanted.add_metric([line.style], line.wanted)
        queued.add_metric([line.style, "file"], line.queued)
        queued.add_metric([line.style, "live"], line.queued_live)
    yield from (workers, wanted, queued)


def _workers(seen: FleetStats) -> Iterator[Metric]:
    paint = HistogramMetricFamily("painter_paint_seconds", "time to paint a frame", labels=WORKER)
    card = GaugeMetricFamily("painter_device_memory_bytes", "memory in use on a GPU, by all", labels=["host", "device"])
    cards = {(beat.host, beat.device): beat.device_bytes for beat in seen.workers if beat.device_bytes}
    for where, in_use in cards.items():
        card.add_metric(where, in_use)
    for beat in seen.workers:
        if found := buckets(beat.paint_counts):
            paint.add_metric(worker_labels(beat), buckets=found, sum_value=beat.paint_s)
    yield from (*worker_families(seen.workers), paint, card)


def _streams(seen: FleetStats) -> Iterator[Metric]:
    delay = GaugeMetricFamily("painter_stream_delay_ms", "sent to painted, newest live frame", labels=STREAM)
    for line in seen.streams:
        if line.delay_ms is not None:
            delay.add_metric(stream_labels(line.card), line.delay_ms)
    fps = {line.card.name: line.fps for line in seen.streams}
    frames, others = stream_families([line.card for line in seen.streams], fps.__getitem__)
    yield from (frames, *others, delay)
