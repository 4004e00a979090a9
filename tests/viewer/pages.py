"""A page as the server sees one, and a page server with everything real behind it."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import aiohttp
import numpy as np

from commands.page import Door, OpenPage, open_page
from pipeline.process.config import settings
from pipeline.protocol.codec import encode_pixels
from pipeline.protocol.frame import Codec
from pipeline.server.app import create_app, message_of
from pipeline.server.broker import Broker
from pipeline.server.transport import Transport
from viewer.web.limits import PageLimits
from workers.styles import Style

DEADLINE_S = 10.0


@dataclass(slots=True)
class Shown:
    """One picture as it came: its header, the painting, the source."""

    header: dict[str, Any]
    painted: bytes
    source: bytes
    kind: int = 2


class Tab:
    """An open socket. Whatever is waited for comes within the deadline, or the test fails."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.last: dict[str, dict[str, Any]] = {}

    async def say(self, kind: str, **fields: object) -> None:
        await self.socket.send_str(json.dumps({"type": kind, **fields}))

    async def picture(self, jpeg: bytes, captured_ms: float) -> None:
        await self.socket.send_bytes(struct.pack("<Bd", 1, captured_ms) + jpeg)

    async def camera(self, *styles: str, **look: object) -> dict[str, str]:
        """Set the camera; return its streams."""
        await self.say("camera", styles=styles, **look)
        streams: dict[str, str] = (await self.hear("camera"))["streams"]
        return streams

    async def watch(self, *streams: str, compare: bool = False) -> None:
        await self.say("watch", streams=streams, compare=compare)

    async def drawn(self, shown: Shown, delay_ms: float | None = None) -> None:
        await self.say("drawn", stream=shown.header["stream"], seq=shown.header["seq"], delay_ms=delay_ms)

    async def hear(self, kind: str, **having: object) -> dict[str, Any]:
        """Return the next message of a kind, pictures passed over, that has these values."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                message = await self._next()
                if isinstance(message, dict) and message["type"] == kind and having.items() <= message.items():
                    return message

    async def shown(self) -> Shown:
        """Return the next picture, messages passed over."""
        async with asyncio.timeout(DEADLINE_S):
            while not isinstance(message := await self._next(), Shown):
                pass
            return message

    async def closed(self) -> int | None:
        """Return the code the server closes the socket with."""
        async with asyncio.timeout(DEADLINE_S):
            while not (await self.socket.receive()).type & 0x100:  # CLOSING, CLOSED
                if self.socket.closed:
                    break
            return self.socket.close_code

    async def _next(self) -> dict[str, Any] | Shown:
        message = await self.socket.receive()
        # A tab that answers no pings is handed them.
        while message.type is aiohttp.WSMsgType.PING:
            message = await self.socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            told: dict[str, Any] = json.loads(message.data)
            self.last[told["type"]] = told
            return told
        assert message.type is aiohttp.WSMsgType.BINARY, f"the socket ended: {message}"
        return _read(message.data)


def _read(data: bytes) -> Shown:
    kind, length = struct.unpack_from("<BH", data)
    assert kind in (2, 3)
    header = json.loads(data[3 : 3 + length])
    painted = data[3 + length :][: header["size"]]
    source = data[3 + length + header["size"] :]
    assert len(source) == header["source_size"]
    return Shown(header, painted, source, kind)


@dataclass(frozen=True, slots=True)
class Site:
    """A page server that runs."""

    page: OpenPage
    transport: Transport
    broker_url: str

    @property
    def url(self) -> str:
        """Its address on this machine, without a token."""
        scheme = self.page.addresses[0].partition(":")[0]
        return f"{scheme}://127.0.0.1:{self.page.server.port}"

    @property
    def token(self) -> str:
        """Its token, "" where none is asked for."""
        return self.page.addresses[0].partition("?token=")[2]

    @asynccontextmanager
    async def client(self, headers: Mapping[str, str] | None = None) -> AsyncIterator[aiohttp.ClientSession]:
        """Yield a program without cookies or redirects of its own."""
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(
            self.url, headers=headers, cookie_jar=aiohttp.DummyCookieJar(), connector=connector
        ) as session:
            yield session
        # Closing takes the loop two more turns, as aiohttp's documentation has it.
        for _ in range(2):
            await asyncio.sleep(0)

    @asynccontextmanager
    async def tab(self, **options: Any) -> AsyncIterator[Tab]:
        """Yield a page with its socket open."""
        async with self.client() as session, session.ws_connect("/ws", **options) as socket:
            yield Tab(socket)


@contextmanager
def open_site(url: str, door: Door | None = None, *styles: str, **limits: Any) -> Iterator[Site]:
    """Serve the page for the frame server at `url`; `limits` are those of `PageLimits` to change."""
    transport = Transport.connect(url)
    broker = Broker(url, transport, partial(message_of, create_app(url)), None)
    cards = [Style(style) for style in styles or ("test-identity",)]
    try:
        with open_page(
            broker, door or Door("127.0.0.1", 0), cards, settings(), replace(PageLimits(), **limits)
        ) as page:
            yield Site(page, transport, url)
    finally:
        transport.close()


def jpeg(number: int = 0, width: int = 64, height: int = 48) -> bytes:
    """Return a picture that tells `number` by its brightness."""
    return encode_pixels(np.full((height, width, 3), number % 256, np.uint8), Codec.MJPEG)


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine."""
    asyncio.run(test)
