"""A long line made of a short one: a relay that hands bytes on half a round trip later, in order, at full width.

Connecting to a process of this machine takes no time; a new connection's first bytes therefore wait one round trip
more, as behind TCP's handshake. A slow start is not imitated, which favours whoever connects often. With `tls` a second
stage behind the line speaks TLS, so a server that speaks none can stand there: its handshakes cross the line too.
"""

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial

Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Target = Callable[[], Awaitable[Opened]]
_CHUNK_BYTES = 1 << 18
# The loop keeps its timers in a heap: of four due at the same moment the third comes before the second.
_TICK_S = 1e-6


def unix(path: str) -> Target:
    """Return a way to a unix socket."""
    return partial(asyncio.open_unix_connection, path)


def tcp(port: int) -> Target:
    """Return a way to a port of this machine."""
    return partial(asyncio.open_connection, "127.0.0.1", port)


@contextmanager
def relay(target: Target, round_trip_s: float, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Yield a port of this machine behind which `target` is `round_trip_s` away. Runs in a thread of its own."""
    ready: list[int] = []
    lines: list[asyncio.StreamWriter] = []
    started = threading.Event()
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve() -> None:
        behind = await asyncio.start_server(partial(_join, lines, target, 0.0), "127.0.0.1", 0, ssl=tls)
        port = int(behind.sockets[0].getsockname()[1])
        line = await asyncio.start_server(partial(_join, lines, tcp(port), round_trip_s), "127.0.0.1", 0)
        ready.append(int(line.sockets[0].getsockname()[1]))
        started.set()
        await ended.wait()
        for server in (line, behind):
            server.close()
        await hang_up(lines)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="relay")
    with closing(loop):
        thread.start()
        started.wait()
        try:
            yield ready[0]
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join()


async def _join(
    lines: list[asyncio.StreamWriter],
    target: Target,
    round_trip_s: float,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    lines.append(writer)
    with suppress(OSError, asyncio.CancelledError):
        far_reader, far_writer = await target()
        lines.append(far_writer)
        handshake_s = asyncio.get_running_loop().time() + round_trip_s
        await asyncio.gather(
            _carry(reader, far_writer, round_trip_s / 2, handshake_s), _carry(far_reader, writer, round_trip_s / 2, 0.0)
        )


async def hang_up(lines: list[asyncio.StreamWriter]) -> None:
    """Cut what is still connected, and let the loop see it gone."""
    for line in lines:
        line.transport.abort()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    # Sockets are closed in the loop's next turns.
    for _ in range(3):
        await asyncio.sleep(0)


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float, not_before_s: float
) -> None:
    loop = asyncio.get_running_loop()
    due_s = 0.0
    while data := await reader.read(_CHUNK_BYTES):
        due_s = max(due_s + _TICK_S, max(not_before_s, loop.time()) + delay_s)
        loop.call_at(due_s, writer.write, data)
    loop.call_at(max(due_s + _TICK_S, loop.time() + delay_s), writer.close)
