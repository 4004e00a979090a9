"""Viewers are killed, frozen or slow: no other notices, and neither server nor page keeps anything for them."""

import asyncio
import json
import signal
import socket
import time
from contextlib import suppress

import aiohttp
import psutil
import pytest

from tests.faults.conftest import Film
from tests.faults.stage import Command, Stage, Watcher

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

STYLE = "test-bytes"
_MB = 1 << 20


def page_of(stage: Stage) -> tuple[Command, str]:
    """Start a page server; return it and its address."""
    command = stage.run("view", "--port", "0", "--broker", stage.server.url)
    stage.wait(lambda: "http://127" in command.said() or not command.is_running(), "the page")
    return command, next(word for word in command.said().split() if word.startswith("http"))


def test_a_killed_or_frozen_page_server_disturbs_nobody(stage: Stage, film: Film) -> None:
    stage.work(STYLE)
    stage.live(film.loop, STYLE)
    watcher = stage.watcher()
    pages = [page_of(stage) for _ in range(2)]
    asyncio.run(_watch_for(2.0, *(url for _, url in pages)))
    calm_s = _calm_s(stage, watcher)
    used = stage.transport.memory()[0]
    (killed, _), (frozen, _) = pages
    killed.send(signal.SIGKILL)
    frozen.send(signal.SIGSTOP)
    struck_s = time.monotonic()
    stage.wait_s(6)
    assert watcher.stall_s(struck_s) < max(0.5, 2 * calm_s)
    assert stage.transport.memory()[0] - used < 2 * _MB
    frozen.send(signal.SIGCONT)


def test_pages_that_stop_reading_cost_neither_memory_nor_anybodys_pictures(stage: Stage, film: Film) -> None:
    stage.work(STYLE)
    stage.live(film.loop, STYLE)
    command, url = page_of(stage)
    undisturbed = asyncio.run(_watch_for(3.0, url))
    assert undisturbed > 25
    page = psutil.Process(command.pid)
    rss, used = page.memory_info().rss, stage.transport.memory()[0]
    shown = asyncio.run(_beside_bad_ones(url))
    assert shown / 8 > 0.8 * undisturbed / 3
    assert stage.transport.memory()[0] - used < 2 * _MB
    # Six pages that do not read hold their sockets' buffers and a picture each.
    assert page.memory_info().rss - rss < 16 * _MB
    stage.wait(lambda: _pages(url) == 0, "the dead pages to be forgotten", 10)


def test_a_recorder_that_reads_and_does_not_go_on_costs_the_server_nothing(stage: Stage, film: Film) -> None:
    """A client of the frame server itself, as `painter window` is one, that asks and never takes the answer."""
    stage.work(STYLE)
    stage.live(film.loop, STYLE)
    watcher = stage.watcher()
    calm_s = _calm_s(stage, watcher)
    used = stage.transport.memory()[0]
    path = stage.server.url.removeprefix("redis+socket://").partition("?")[0]
    frozen = []
    for _ in range(8):
        reader = socket.socket(socket.AF_UNIX)
        reader.connect(path)
        reader.sendall(b"XREAD BLOCK 0 STREAMS painted:cam 0-0\r\n" * 20)
        frozen.append(reader)
    now_s = time.monotonic()
    stage.wait_s(5)
    assert watcher.stall_s(now_s) < max(0.5, 2 * calm_s)
    # Twenty answers of sixteen pictures each are what they asked for at once, and it does not grow.
    first = stage.transport.memory()[0]
    stage.wait_s(3)
    assert stage.transport.memory()[0] - first < _MB
    assert first - used < 40 * _MB
    for reader in frozen:
        reader.close()


def _calm_s(stage: Stage, watcher: Watcher) -> float:
    """Return the longest gap of a while in which nothing happens: a busy machine has them too."""
    now_s = time.monotonic()
    stage.wait_s(5)
    calm_s = watcher.stall_s(now_s)
    assert calm_s < 2
    return calm_s


async def _watch_for(seconds: float, *urls: str) -> int:
    async with aiohttp.ClientSession() as session:
        return sum(await asyncio.gather(*(_well_behaved(session, url, seconds) for url in urls)))


async def _beside_bad_ones(url: str) -> int:
    async with aiohttp.ClientSession() as session:
        frozen = [await _frozen(url) for _ in range(6)]
        slow = asyncio.create_task(_slow(session, url))
        shown = await _well_behaved(session, url, 8.0)
        slow.cancel()
        with suppress(asyncio.CancelledError):
            await slow
        for line in frozen:
            line.close()
        return shown


async def _well_behaved(session: aiohttp.ClientSession, url: str, seconds: float) -> int:
    """Draw each picture; return how many came."""
    shown = 0
    end_s = time.monotonic() + seconds
    async with session.ws_connect(url + "ws") as page:
        await page.send_json({"type": "watch", "streams": ["cam"]})
        while time.monotonic() < end_s:
            message = await page.receive(timeout=5)
            if message.type is aiohttp.WSMsgType.BINARY:
                header = json.loads(message.data[3 : 3 + int.from_bytes(message.data[1:3], "little")])
                await page.send_json({"type": "drawn", "stream": "cam", "seq": header["seq"], "delay_ms": None})
                shown += 1
    return shown


async def _slow(session: aiohttp.ClientSession, url: str) -> None:
    async with session.ws_connect(url + "ws") as page:
        await page.send_json({"type": "watch", "streams": ["cam"]})
        while True:
            await page.receive()
            await asyncio.sleep(1)


async def _frozen(url: str) -> socket.socket:
    """A page that asks for the stream and reads nothing any more; pings are not answered either."""
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    line = socket.create_connection((host, int(port)))
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    head = f"GET /ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    key = "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    line.sendall((head + key).encode())
    await asyncio.sleep(0.05)
    said = json.dumps({"type": "watch", "streams": ["cam"]}).encode()
    # A text frame, masked with zeros.
    line.sendall(bytes((0x81, 0x80 | len(said))) + bytes(4) + said)
    return line


def _pages(url: str) -> int:
    async def ask() -> int:
        async with aiohttp.ClientSession() as session, session.get(url + "api/stats") as answer:
            return int((await answer.json())["pages"])

    return asyncio.run(ask())
