"""What is asked for and answered at once: the page and its files, numbers as JSON and for Prometheus, health."""

from collections.abc import Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from viewer.web.desk import DESK, Desk
from viewer.web.guard import HEALTH, refuse


def add_routes(app: web.Application) -> None:
    """Add the page's files and the numbers."""
    app.router.add_get("/", _index)
    app.router.add_static("/static/", app[DESK].parts.static)
    app.router.add_get("/styles/{name}.jpg", _style_picture)
    app.router.add_get("/api/stats", _stats)
    app.router.add_get("/api/streams", _streams)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get(HEALTH, _health)


async def _index(request: web.Request) -> web.StreamResponse:
    return web.FileResponse(request.app[DESK].parts.static / "index.html", headers={"Cache-Control": "no-cache"})


async def _style_picture(request: web.Request) -> web.StreamResponse:
    style = request.app[DESK].parts.styles.get(request.match_info["name"])
    if style is None or style.picture is None:
        return refuse(404, "no picture of this style")
    return web.FileResponse(style.picture, headers={"Content-Type": "image/jpeg", "Cache-Control": "no-cache"})


async def _stats(request: web.Request) -> web.StreamResponse:
    return web.json_response(request.app[DESK].report())


async def _streams(request: web.Request) -> web.StreamResponse:
    return web.json_response({"streams": request.app[DESK].cards()})


async def _health(request: web.Request) -> web.StreamResponse:
    desk = request.app[DESK]
    return web.json_response({"ok": desk.is_connected}, status=200 if desk.is_connected else 503)


async def _metrics(request: web.Request) -> web.StreamResponse:
    registry = CollectorRegistry()
    registry.register(Metrics(request.app[DESK]))
    return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


class Metrics:
    """The numbers of `/api/stats` for Prometheus, named as in `commands/exporter.py`; one collector a scrape."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._book = desk, desk.book

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        desk = self._desk
        yield GaugeMetricFamily("painter_up", "1 while the frame server answers", float(desk.is_connected))
        yield GaugeMetricFamily("painter_pages", "open pages", len(desk.pages))
        yield GaugeMetricFamily("painter_sessions", "page cameras", desk.sessions)
        yield from self._streams()
        yield from self._workers()

    def _streams(self) -> Iterator[Metric]:
        labels = ("stream", "style", "mode")
        fps = GaugeMetricFamily("painter_stream_fps", "painted frames a second", labels=labels)
        frames = CounterMetricFamily("painter_stream_frames", "live frames by fate", labels=(*labels, "fate"))
        drops = CounterMetricFamily("painter_stream_drops", "frames dropped by cause", labels=(*labels, "cause"))
        failures = CounterMetricFamily("painter_stream_failures", "frames failed by cause", labels=(*labels, "cause"))
        flying = GaugeMetricFamily("painter_in_flight", "frames sent and not painted yet", labels=labels)
        delays = GaugeMetricFamily("painter_delay_ms", "recent delay by stage", labels=(*labels, "stage", "quantile"))
        for card in self._book.now.streams:
            of = (card.name, card.style, card.mode)
            fps.add_metric(of, self._book.fps_of(card.name))
            flying.add_metric(of, card.in_flight)
            fates = {"captured": card.captured, "dropped": card.dropped, "painted": card.painted, "failed": card.failed}
            lost = {"late": self._book.late_of(card.name), "skipped": self._book.skipped_of(card.name)}
            for fate, count in {**fates, **lost}.items():
                frames.add_metric((*of, fate), count)
            for metric, losses in ((drops, card.drops), (failures, card.failures)):
                for cause, count in losses.items():
                    metric.add_metric((*of, cause), count)
            for stage, spread in self._book.times_of(card.name).items():
                delays.add_metric((*of, stage, "0.5"), spread["p50"])
                delays.add_metric((*of, stage, "0.95"), spread["p95"])
        yield from (fps, frames, drops, failures, flying, delays)

    def _workers(self) -> Iterator[Metric]:
        labels = ("worker", "style", "device", "host")
        fps = GaugeMetricFamily("painter_worker_fps", "frames a second of one worker", labels=labels)
        busy = GaugeMetricFamily("painter_worker_busy", "share of its time at work, 0 to 1", labels=labels)
        memory = GaugeMetricFamily("painter_worker_memory_bytes", "resident memory", labels=labels)
        painted = CounterMetricFamily("painter_frames", "frames painted since the worker started", labels=labels)
        for beat in self._book.now.workers:
            of = (beat.name, beat.style, beat.device, beat.host)
            fps.add_metric(of, beat.fps)
            busy.add_metric(of, beat.busy)
            memory.add_metric(of, beat.rss_bytes)
            painted.add_metric(of, beat.painted)
        yield from (fps, busy, memory, painted)
