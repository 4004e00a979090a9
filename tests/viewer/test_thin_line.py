"""A page at the end of a thin line, over real sockets: what it is sent, and in which codec."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp
import av
import cv2
import numpy as np
import pytest

from benchmarks.thin_line import Shape, thin_line
from pipeline.flow.placement import place
from pipeline.process.config import settings
from pipeline.protocol.codec import encode_pixels
from pipeline.protocol.frame import Codec
from pipeline.server.embedded import EmbeddedServer
from tests.viewer.pages import Shown, Site, Tab, open_site, run
from workers.launch import Launcher

pytestmark = pytest.mark.system

STYLE = "test-identity"
# As painted 640×480 takes 9 Mbit/s, what the camera sends 3.
THIN = Shape(rate_bps=4e6, round_trip_s=0.02)
PICTURES = 60


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A page server before a frame server and a worker."""
    folder = tmp_path_factory.mktemp("thin")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAINTER_TEST_STYLES", "1")
        patch.delenv("BROKER_URL", raising=False)
        settings.cache_clear()
        embedded = EmbeddedServer(folder, maxmemory_mb=64)
        embedded.start()
        try:
            with (
                open_site(embedded.url, None, STYLE) as opened,
                Launcher(place((STYLE,), [], cores=2), embedded.url, logs=folder) as fleet,
            ):
                fleet.wait_ready(opened.transport)
                yield opened
        finally:
            embedded.stop()


def busy(number: int) -> bytes:
    """A camera's picture, small as it is sent and large as it is painted: noise that JPEG of low quality smooths."""
    noise = np.random.default_rng(5).integers(0, 256, (480, 704, 3), np.uint8)
    moved = cv2.GaussianBlur(noise, (0, 0), 1.2)[:, number % 64 : number % 64 + 640]
    return encode_pixels(np.ascontiguousarray(moved), Codec.MJPEG, quality=12)


PICTURES_UP = [busy(number) for number in range(64)]


@asynccontextmanager
async def filmed(site: Site, shape: Shape, **can: object) -> AsyncIterator[Tab]:
    """Yield a page behind a line, its camera running at 24 FPS and watched."""
    with thin_line(site.page.server.port, shape) as port:
        async with aiohttp.ClientSession() as session, session.ws_connect(f"http://127.0.0.1:{port}/ws") as socket:
            tab = Tab(socket)
            if can:
                await tab.say("can", **can)
            stream = (await tab.camera(STYLE))[STYLE]
            await tab.watch(stream)

            async def film() -> None:
                loop = asyncio.get_running_loop()
                began_s = loop.time()
                for number in range(10_000):
                    await asyncio.sleep(max(0.0, began_s + number / 24 - loop.time()))
                    await tab.picture(PICTURES_UP[number % 64], number)

            task = asyncio.create_task(film())
            try:
                yield tab
            finally:
                task.cancel()


async def draw(tab: Tab, count: int) -> list[Shown]:
    """Take so many pictures, each drawn at once."""
    drawn = []
    for _ in range(count):
        shown = await tab.shown()
        await tab.drawn(shown)
        drawn.append(shown)
    return drawn


@pytest.mark.parametrize(("codec", "name"), [("h264", "avc1."), ("vp8", "vp8")])
def test_on_a_thin_line_the_painting_comes_as_video(site: Site, codec: str, name: str) -> None:
    async def test() -> None:
        async with filmed(site, THIN, video=[codec]) as tab:
            drawn = await draw(tab, PICTURES)
            coded = [shown for shown in drawn if shown.kind == 3]
            assert len(coded) > PICTURES // 2
            assert {shown.header["codec"].startswith(name) for shown in coded} == {True}
            assert coded[0].header["key"]
            context = av.CodecContext.create(codec, "r")
            assert isinstance(context, av.VideoCodecContext)
            frames = [frame for shown in coded for frame in context.decode(av.Packet(shown.painted))]
            assert len(frames) == len(coded), "each is decodable when it comes"
            line = await tab.hear("line", way="coded")
            assert line["needs_bps"] > line["rate_bps"] > 0

    run(test())


def test_a_page_without_video_gets_smaller_jpegs(site: Site) -> None:
    async def test() -> None:
        async with filmed(site, THIN, video=[]) as tab:
            drawn = await draw(tab, PICTURES)
            assert {shown.kind for shown in drawn} == {2}
            assert "jpeg" in {shown.header.get("codec") for shown in drawn}
            assert len(drawn[-1].painted) < 0.8 * len(drawn[0].painted)

    run(test())


def test_a_program_that_says_nothing_of_itself_gets_every_picture_as_painted(site: Site) -> None:
    async def test() -> None:
        async with filmed(site, THIN) as tab:
            assert {shown.header.get("codec") for shown in await draw(tab, 20)} == {None}

    run(test())


def test_on_a_wide_line_nothing_is_coded(site: Site) -> None:
    async def test() -> None:
        async with filmed(site, Shape(), video=["h264"]) as tab:
            assert {shown.kind for shown in await draw(tab, PICTURES)} == {2}

    run(test())
