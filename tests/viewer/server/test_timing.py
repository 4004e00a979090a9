"""Rates, delays and times of the page server: compared with each other, so on a machine to itself."""

import asyncio
import math
import time

import aiohttp
import pytest

from pipeline.server.embedded import EmbeddedServer
from tests.viewer.pages import Site, open_site, run
from tests.viewer.server.conftest import PAINTED, STYLES
from tests.viewer.server.filming import FPS, draw, filming, now_ms, stream_links
from tests.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.serial]


def test_numbers_tell_rate_and_delay_by_stage_and_the_sum_of_fates_is_true(site: Site) -> None:
    async def visit() -> None:
        async with site.tab() as tab, site.client() as client:
            (stream,) = (await tab.camera("test-sleep-40")).values()
            await tab.watch(stream)
            async with filming(tab):
                await draw(tab, 4 * FPS)
                began_s = time.monotonic()
                await draw(tab, 2 * FPS)
                seen_fps = 2 * FPS / (time.monotonic() - began_s)
                async with client.get("/metrics") as answer:
                    metrics = await answer.text()
                async with client.get("/api/stats") as answer:
                    stats = await answer.json()
        (of,) = stats["streams"]
        assert of["captured"] == of["dropped"] + of["painted"] + of["failed"] + of["in_flight"]
        assert (sum(of["drops"].values()), sum(of["failures"].values())) == (of["dropped"], of["failed"])
        assert {"# TYPE painter_stream_drops_total counter", "# TYPE painter_stream_failures_total counter"} <= {
            *metrics.splitlines()
        }
        assert max(5, 0.6 * seen_fps) < of["fps"] <= FPS + 1
        stages = of["ms"]
        assert 40 <= stages["paint"]["p50"] < stages["delay"]["p50"]
        parts = sum(stages[name]["p50"] for name in ("capture", "wait", "queue", "decode", "paint", "encode", "return"))
        assert math.isclose(parts, stages["delay"]["p50"], rel_tol=0.3, abs_tol=10)
        assert stages["delay"]["p50"] <= stages["delay"]["p95"] < 1000
        painter = next(worker for worker in stats["workers"] if worker["style"] == "test-sleep-40")
        assert painter["rss_bytes"] > 1 << 20
        assert 0.5 * 0.04 * of["fps"] < painter["busy"] <= 1
        assert f'painter_stream_fps{{mode="live",stream="{stream}",style="test-sleep-40"}}' in metrics
        assert f'fate="painted",mode="live",stream="{stream}"' in metrics
        assert 'painter_worker_busy{device="cpu"' in metrics

    run(visit())


def test_a_click_changes_the_style_without_changing_the_stream(site: Site) -> None:
    async def visit() -> None:
        async with site.tab() as tab:
            (stream,) = (await tab.camera("test-identity")).values()
            await tab.watch(stream)
            took_s = []
            async with filming(tab):
                await draw(tab, 10)
                for style in 2 * ["test-sleep-40", "test-identity"]:
                    clicked_s = time.monotonic()
                    assert await tab.camera(style) == {style: stream}
                    while (await draw(tab, 1))[0].header["style"] != style:
                        pass
                    took_s.append(time.monotonic() - clicked_s)
            assert max(min(took_s[0::2]), min(took_s[1::2])) < 1.0, took_s

    run(visit())


def test_a_page_that_does_not_draw_gets_two_pictures_and_slows_nobody(site: Site) -> None:
    async def visit() -> None:
        async with site.tab() as owner, site.client() as client:
            (stream,) = (await owner.camera("test-identity")).values()
            await owner.watch(stream)
            async with filming(owner):
                await draw(owner, 3 * FPS)
                async with client.get("/api/stats") as answer:
                    drawn_fps = (await answer.json())["streams"][0]["fps"]
                shown = [await owner.shown(), await owner.shown()]
                # Two are on their way; nothing more comes until one is drawn, but for one each 2 s.
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await owner.shown()
                await owner.drawn(shown[0], 1.0)
                newest = await owner.shown()
                assert newest.header["seq"] > shown[1].header["seq"] + 5, "the newest, not the next"
                await owner.hear("stats")
                await owner.hear("stats")
                async with client.get("/api/stats") as answer:
                    (of,) = (await answer.json())["streams"]
                assert of["late"] > 5
                assert of["fps"] > 0.6 * drawn_fps, "the painters do not wait for it"

    run(visit())


def test_a_closed_page_frees_its_camera_and_its_stream(site: Site) -> None:
    async def visit() -> None:
        async with site.tab() as tab:
            streams = await tab.camera(*PAINTED)
            await tab.watch(*streams.values())
            async with filming(tab):
                await draw(tab, 10)
        assert await eventually(lambda: not site.transport.streams(), 5) < 5
        async with site.tab() as other:
            stats = await other.hear("stats", sessions=0, pages=1)
            assert stats["streams"] == []

    run(visit())


def _typical(delays_ms: list[float]) -> float:
    return sorted(delays_ms)[len(delays_ms) // 2]


@pytest.mark.timeout(120)
def test_many_pages_share_the_painters_and_load_is_dropped_not_queued(site: Site) -> None:
    """One worker paints 25 frames a second; four cameras bring 96."""

    async def film_and_draw(seconds: float, together: asyncio.Barrier) -> tuple[float, float]:
        async with site.tab() as tab:
            (stream,) = (await tab.camera("test-sleep-40")).values()
            await tab.watch(stream)
            delays_ms = []
            async with filming(tab):
                await draw(tab, 5)
                # One and the same while for all, and nobody's camera stops before it is over.
                await together.wait()
                began_s = time.monotonic()
                while time.monotonic() - began_s < seconds:
                    (shown,) = await draw(tab, 1)
                    delays_ms.append(now_ms() - shown.header["pts"])
                await together.wait()
            return len(delays_ms) / seconds, _typical(delays_ms)

    async def visit() -> None:
        alone_fps, alone_ms = await film_and_draw(3, asyncio.Barrier(1))
        together = asyncio.Barrier(4)
        shared = await asyncio.gather(*(film_and_draw(8, together) for _ in range(4)))
        rates = [fps for fps, _ in shared]
        assert sum(rates) > 0.7 * alone_fps
        assert max(rates) - min(rates) < 0.25 * max(rates)
        assert max(delay_ms for _, delay_ms in shared) < 2 * alone_ms + 40

    run(visit())


def test_the_server_ends_at_once_with_pages_programs_and_jobs_open(studio: EmbeddedServer) -> None:
    async def visit(site: Site) -> None:
        async with site.tab() as tab, site.client() as client:
            await tab.camera("test-identity")
            links = await stream_links(tab)
            async with filming(tab), client.get(links["mjpg"]) as answer:
                await answer.content.readline()
                closed = asyncio.create_task(tab.closed())
                began_s = time.monotonic()
                await asyncio.to_thread(site.page.server.stop)
                assert time.monotonic() - began_s < 5.0
                assert await closed == aiohttp.WSCloseCode.GOING_AWAY
        await eventually(lambda: not site.transport.streams(), 5, "no stream left")

    with open_site(studio.url, None, *STYLES) as site:
        run(visit(site))
