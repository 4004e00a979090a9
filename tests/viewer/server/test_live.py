"""What a page gets of the page server: streams, styles, states."""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from pipeline.flow.placement import place
from pipeline.flow.worker_health import why_nobody_paints
from pipeline.process.config import settings
from pipeline.protocol.frame import Look
from pipeline.protocol.records import Heartbeat
from pipeline.protocol.wire import Limits
from pipeline.server.app import create_app, message_of
from pipeline.server.embedded import EmbeddedServer
from producer.page_streams import PageStreams
from tests.viewer.pages import DEADLINE_S, Site, Tab, jpeg, open_site, run
from tests.viewer.server.conftest import PAINTED
from tests.viewer.server.filming import FPS, brightness, draw, filming, now_ms
from tests.waiting import eventually
from workers.launch import Launcher

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("page_live")]  # they share `studio`


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
