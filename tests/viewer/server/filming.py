"""A camera that brings its pictures, and a page that draws what comes back."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipeline.protocol.codec import decode, probe
from pipeline.protocol.frame import Codec, EncodedFrame
from tests.viewer.pages import Shown, Tab, jpeg

FPS = 24


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


async def stream_links(tab: Tab) -> dict[str, str]:
    while not (cards := (await tab.hear("streams"))["streams"]):
        pass
    links: dict[str, str] = cards[0]["links"]
    return links
