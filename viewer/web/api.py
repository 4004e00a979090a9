"""What is asked for and answered at once: the page and its files, numbers as JSON and for Prometheus, health."""

from collections.abc import Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from fleet.exposition import STREAM, stream_families, stream_labels, worker_families
from viewer.web.app_state import APP_STATE, AppState
from viewer.web.middleware import HEALTH, refuse, welcome


def add_routes(app: web.Application) -> None:
    """Add the page's files and the numbers."""
    app.router.add_get("/", _index)
    app.router.add_static("/static/", app[APP_STATE].parts.static)
    app.router.add_get("/styles/{name}.jpg", _style_picture)
    app.router.add_get("/api/stats", _stats)
    app.router.add_get("/api/streams", _streams)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get(HEALTH, _health)


async def _index(request: web.Request) -> web.StreamResponse:
    page = web.FileResponse(request.app[APP_STATE].parts.static / "index.html", headers={"Cache-Control": "no-cache"})
    welcome(request, page)
    return page


async def _style_picture(request: web.Request) -> web.StreamResponse:
    style = request.app[APP_STATE].parts.styles.get(request.match_info["name"])
    if style is None or style.picture is None:
        return refuse(404, "no picture of this style")
    return web.FileResponse(style.picture, headers={"Content-Type": "image/jpeg", "Cache-Control": "no-cache"})


async def _stats(request: web.Request) -> web.StreamResponse:
    return web.json_response(request.app[APP_STATE].report())


async def _streams(request: web.Request) -> web.StreamResponse:
    return web.json_response({"streams": request.app[APP_STATE].cards()})


async def _health(request: web.Request) -> web.StreamResponse:
    app_state = request.app[APP_STATE]
    return web.json_response({"ok": app_state.is_connected}, status=200 if app_state.is_connected else 503)


async def _metrics(request: web.Request) -> web.StreamResponse:
    registry = CollectorRegistry()
    registry.register(Metrics(request.app[APP_STATE]))
    return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


class Metrics:
    """The numbers of `/api/stats` for Prometheus; one collector a scrape."""

    def __init__(self, app_state: AppState) -> None:
        self._app_state, self._book = app_state, app_state.stats

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        app_state = self._app_state
        yield GaugeMetricFamily("painter_up", "1 while the frame server answers", float(app_state.is_connected))
        yield GaugeMetricFamily("painter_pages", "open pages", len(app_state.pages))
        yield GaugeMetricFamily("painter_sessions", "page cameras", app_state.sessions)
        yield from self._streams()
        yield from worker_families(self._book.now.workers)

    def _streams(self) -> Iterator[Metric]:
        stats = self._book
        frames, others = stream_families(stats.now.streams, stats.fps_of)
        delays = GaugeMetricFamily("painter_delay_ms", "recent delay by stage", labels=(*STREAM, "stage", "quantile"))
        for card in stats.now.streams:
            of = stream_labels(card)
            frames.add_metric((*of, "late"), stats.late_of(card.name))
            frames.add_metric((*of, "skipped"), stats.skipped_of(card.name))
            for stage, spread in stats.times_of(card.name).items():
                delays.add_metric((*of, stage, "0.5"), spread["p50"])
                delays.add_metric((*of, stage, "0.95"), spread["p95"])
        yield from (frames, *others, delays)
