"""What a page and a program get of the page server: with the real frame server and a real worker behind it."""

import asyncio
import io
import itertools
import math
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import aiohttp
import av
import pytest

from pipeline.flow.placement import place
from pipeline.flow.worker_health import why_nobody_paints
from pipeline.process.config import cache_dir, settings
from pipeline.protocol.codec import decode, probe
from pipeline.protocol.frame import Codec, EncodedFrame, Look
from pipeline.protocol.records import Heartbeat
from pipeline.protocol.wire import Limits
from pipeline.server.app import create_app, message_of
from pipeline.server.embedded import EmbeddedServer
from producer.page_streams import PageStreams
from tests.media import Clip, make_clip
from tests.viewer.pages import DEADLINE_S, Shown, Site, Tab, jpeg, open_site, run
from tests.waiting import eventually
from workers.launch import Launcher

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("page_server")]  # they share `studio`

PAINTED = ("test-identity", "test-sleep-40")
STYLES = (*PAINTED, "test-sleep-7")  # nobody paints the last
FPS = 24


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A frame server and one worker for each painted style."""
    folder = tmp_path_factory.mktemp("studio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAINTER_TEST_STYLES", "1")
        patch.delenv("BROKER_URL", raising=False)
        settings.cache_clear()
        embedded = EmbeddedServer(folder, maxmemory_mb=64)
        embedded.start()
        try:
            with (
                open_site(embedded.url) as site,
                Launcher(place(PAINTED, [], cores=2), embedded.url, logs=folder) as fleet,
            ):
                fleet.wait_ready(site.transport)
                yield embedded
        finally:
            embedded.stop()


@pytest.fixture
def site(studio: EmbeddedServer) -> Iterator[Site]:
    """A page server of the test's own."""
    with open_site(studio.url, None, *STYLES) as opened:
        yield opened


def now_ms() -> float:
    """The page's own clock."""
    return time.monotonic() * 1000


@asynccontextmanager
async def filming(tab: Tab, fps: float = FPS) -> AsyncIterator[None]:
    """Send the camera's pictures meanwhile, each brighter than the last."""

    async def film() -> None:
        for number in itertools.count():
            await tab.picture(jpeg(number), now_ms())
            await asyncio.sleep(1 / fps)

    task = asyncio.create_task(film())
    try:
        yield
    finally:
        task.cancel()


async def draw(tab: Tab, count: int, *, is_own: bool = True) -> list[Shown]:
    """Draw the next `count` pictures, saying so as a page does."""
    drawn = []
    for _ in range(count):
        shown = await tab.shown()
        await tab.drawn(shown, now_ms() - shown.header["pts"] if is_own else None)
        drawn.append(shown)
    return drawn


def brightness(picture: bytes) -> float:
    header = probe(picture)
    return float(decode(EncodedFrame(0, 0, Codec.MJPEG, header.width, header.height, picture)).mean())


# -- live --------------------------------------------------------------------------------------------------------------


def test_a_camera_comes_back_painted_in_order_each_picture_with_its_own_time(site: Site) -> None:
    async def visit() -> None:
        async with site.tab() as tab:
            (stream,) = (await tab.camera("test-identity")).values()
            await tab.watch(stream)
            async with filming(tab):
                drawn = await draw(tab, 48)
            for key in ("seq", "pts"):
                told = [shown.header[key] for shown in drawn]
                assert told == sorted(set(told))
            assert {shown.header["style"] for shown in drawn} == {"test-identity"}
            assert all(0 <= now_ms() - shown.header["pts"] < 10_000 for shown in drawn)
            assert all(shown.source == b"" for shown in drawn)

    run(visit())


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


def test_several_styles_at_once_come_over_one_socket(site: Site) -> None:
    async def visit() -> None:
        async with site.tab() as tab:
            streams = await tab.camera(*PAINTED)
            assert set(streams) == set(PAINTED)
            await tab.watch(*streams.values())
            async with filming(tab):
                drawn = await draw(tab, 40)
            assert {(shown.header["style"], shown.header["stream"]) for shown in drawn} == set(streams.items())

    run(visit())


def test_compare_brings_the_sources_picture_beside_the_painted_one(site: Site) -> None:
    async def visit() -> None:
        async with site.tab() as tab:
            (stream,) = (await tab.camera("test-identity")).values()
            await tab.watch(stream, compare=True)
            async with filming(tab):
                while not (shown := (await draw(tab, 1))[0]).source:
                    pass
                assert abs(brightness(shown.source) - brightness(shown.painted)) < 3
                await tab.watch(stream)
                async with asyncio.timeout(10):
                    while (await draw(tab, 1))[0].source:
                        pass

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


def test_camera_off_frees_the_camera_and_leaves_the_page(site: Site) -> None:
    async def visit() -> None:
        async with site.tab() as tab:
            await tab.camera("test-identity")
            await eventually(site.transport.streams, DEADLINE_S)
            await tab.say("camera_off")
            await eventually(lambda: not site.transport.streams(), 5)
            assert await tab.camera("test-identity")

    run(visit())


@contextmanager
def elsewhere(site: Site, name: str, style: str) -> Iterator[None]:
    """A live stream that no page produces."""
    app = create_app(site.broker_url)
    intake = PageStreams(site.transport, partial(message_of, app), Limits(1 << 20, 1 << 20))
    session = intake.open(name, [style], Look())
    ended = threading.Event()

    def film() -> None:
        for number in itertools.count():
            session.offer(jpeg(number), number * 40)
            if ended.wait(1 / FPS):
                return

    thread = threading.Thread(target=film)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        session.close()


async def _appears(tab: Tab, name: str) -> dict[str, object]:
    while not (found := [card for card in (await tab.hear("streams"))["streams"] if card["name"] == name]):
        pass
    card: dict[str, object] = found[0]
    return card


def test_a_stream_from_elsewhere_shows_up_by_itself_and_several_pages_cost_one_painting(site: Site) -> None:
    async def visit() -> None:
        async with site.tab() as one, site.tab() as two:
            with elsewhere(site, "garden", "test-identity"):
                for tab in (one, two):
                    await _appears(tab, "garden")
                    await tab.watch("garden")
                drawn = await asyncio.gather(draw(one, 48, is_own=False), draw(two, 48, is_own=False))
                assert (
                    len({shown.header["seq"] for shown in drawn[0]} & {shown.header["seq"] for shown in drawn[1]}) > 24
                )
                card = await _appears(one, "garden")
                assert int(str(card["painted"])) <= int(str(card["captured"]))
                await one.say("wish", stream="garden", style="test-sleep-40", strength=1)
                async with asyncio.timeout(5):
                    while (await draw(two, 1, is_own=False))[0].header["style"] != "test-sleep-40":
                        pass
            await eventually(lambda: not site.transport.streams(), 5)

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


# -- in words ----------------------------------------------------------------------------------------------------------


def test_states_are_said_in_words_as_they_change(site: Site) -> None:
    async def visit() -> None:
        async with site.tab() as tab:
            (stream,) = (await tab.camera("test-identity")).values()
            await tab.watch(stream)
            assert (await tab.hear("state", stream=stream))["state"] == "waiting for a worker"
            async with filming(tab):
                await draw(tab, 5)
                assert tab.last["state"]["state"] == "live"
                await tab.camera("test-sleep-7")
                said = await tab.hear("state")
                assert said["state"] == "no worker for this style"
                assert said["why"] == why_nobody_paints("test-sleep-7", [])
                away = Heartbeat("old@host", "", "cpu", 1, host="attic", note="too new", away_from="test-sleep-7")
                site.transport.send_heartbeat(away)
                said = await tab.hear("state")
                assert said["state"] == "workers too old for this stream"
                assert said["why"] == why_nobody_paints("test-sleep-7", [away])
                await tab.camera("test-identity")
                assert (await tab.hear("state", state="live"))["why"] == ""

    run(visit())


def test_a_frame_server_that_goes_is_said_and_all_goes_on_when_it_is_back(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAINTER_TEST_STYLES", "1")
    settings.cache_clear()

    async def visit(site: Site) -> None:
        async with site.tab() as tab, site.client() as client:
            (stream,) = (await tab.camera("test-identity")).values()
            await tab.watch(stream)
            async with filming(tab):
                await draw(tab, 5)
                await asyncio.to_thread(server.stop)
                await tab.hear("state", state="server gone")
                async with client.get("/healthz") as answer:
                    assert answer.status == 503
                await asyncio.to_thread(server.start)
                await tab.hear("state", state="live")
                await draw(tab, 10)

    with (
        open_site(server.url, None, "test-identity") as site,
        Launcher(place(PAINTED[:1], [], cores=1), server.url) as fleet,
    ):
        fleet.wait_ready(site.transport)
        run(visit(site))


# -- other programs ----------------------------------------------------------------------------------------------------


async def _links(tab: Tab) -> dict[str, str]:
    while not (cards := (await tab.hear("streams"))["streams"]):
        pass
    links: dict[str, str] = cards[0]["links"]
    return links


def test_other_programs_get_each_picture_whole_as_soon_as_it_is_painted(site: Site) -> None:
    async def visit() -> None:
        async with site.tab() as tab, site.client() as client:
            await tab.camera("test-identity")
            links = await _links(tab)
            async with filming(tab), client.get(links["mjpg"]) as answer:
                assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
                assert await answer.content.readline() == b"--frame\r\n"
                for _ in range(10):
                    head = await answer.content.readuntil(b"\r\n\r\n")
                    length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
                    assert probe(await answer.content.readexactly(length)).width == 64
                    # The boundary comes with the picture, not with the next one.
                    assert await answer.content.readexactly(11) == b"\r\n--frame\r\n"
                async with client.get(links["jpg"]) as one:
                    assert one.content_type == "image/jpeg"
                    assert probe(await one.read()).height == 48

    run(visit())


def test_a_program_that_leaves_gives_its_place_back(studio: EmbeddedServer) -> None:
    async def visit(site: Site) -> None:
        async with site.tab() as tab:
            await tab.camera("test-identity")
            links = await _links(tab)
            async with filming(tab):
                async with site.client() as client, client.get(links["mjpg"]) as first:
                    await first.content.readline()
                    async with client.get(links["jpg"]) as second:
                        assert second.status == 503
                await tab.hear("stats", programs=0)

    with open_site(studio.url, None, *STYLES, programs=1) as site:
        run(visit(site))


# -- files -------------------------------------------------------------------------------------------------------------


async def _job(client: aiohttp.ClientSession, number: str, *states: str) -> dict[str, object]:
    """Return a job's card once it is in one of `states`."""
    async with asyncio.timeout(40):
        while True:
            async with client.get("/api/jobs") as answer:
                (card,) = [job for job in (await answer.json())["jobs"] if job["id"] == number]
            if card["state"] in states:
                found: dict[str, object] = card
                return found
            await asyncio.sleep(0.02)


def test_a_film_handed_in_comes_back_painted_under_its_own_name(site: Site, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=20))

    async def visit() -> None:
        async with site.client({"X-File-Name": "Mein%20Film.mp4"}) as client:
            async with client.post("/api/jobs?style=test-identity&strength=0.5", data=clip.read_bytes()) as answer:
                assert answer.status == 201
                number = (await answer.json())["id"]
            card = await _job(client, number, "done", "failed")
            assert (card["state"], card["name"], card["done"]) == ("done", "Mein Film.mp4", 20)
            async with client.get(str(card["output"])) as answer:
                assert "Mein%20Film.test-identity.mp4" in answer.headers["Content-Disposition"]
                with av.open(io.BytesIO(await answer.read())) as film:
                    assert sum(1 for _ in film.decode(video=0)) == 20
            async with client.delete(f"/api/jobs/{number}") as answer:
                assert answer.status == 204
            async with client.get(str(card["output"])) as answer:
                assert answer.status == 404

    run(visit())


def test_a_cancelled_film_leaves_nothing_behind(site: Site, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=400))

    async def visit() -> None:
        async with site.client({"X-File-Name": "long.mp4"}) as client:
            async with client.post("/api/jobs?style=test-sleep-40", data=clip.read_bytes()) as answer:
                number = (await answer.json())["id"]
            await _job(client, number, "painting")
            async with client.delete(f"/api/jobs/{number}") as answer:
                assert answer.status == 204
            async with client.get("/api/jobs") as answer:
                assert (await answer.json())["jobs"] == []
        uploads = cache_dir() / "uploads"
        # `os.walk`, since folders may go while they are looked into.
        await eventually(lambda: not any(files for *_, files in os.walk(uploads)), 10, "no file left")

    run(visit())


def test_the_server_ends_at_once_with_pages_programs_and_jobs_open(studio: EmbeddedServer) -> None:
    async def visit(site: Site) -> None:
        async with site.tab() as tab, site.client() as client:
            await tab.camera("test-identity")
            links = await _links(tab)
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
