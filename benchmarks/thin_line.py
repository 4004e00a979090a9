"""A thin line made of a wide one: a relay that hands bytes on at a given rate, half a round trip later, in order.

What the line has not carried yet waits with its sender, but for a router's buffer of 50 ms. A lost packet is imitated
as TCP shows it to a program: everything behind it comes a retransmission later (a round trip and 10 ms; 200 ms more
where fewer than three packets follow and only the timer notices).
"""

import asyncio
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

from benchmarks.latency_proxy import hang_up

_PACKET_BYTES = 1448
_BUFFER_S = 0.05
_TIMER_S = 0.2
_REORDER_S = 0.01
# Of four timers due at the same moment the third comes before the second.
_TICK_S = 1e-6
# A receive window that a browser's first second would have; the kernel's own grows to megabytes.
_SOCKET_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Shape:
    """Bits a second each way (0: as wide as the machine), the round trip, and the share of packets that are lost."""

    rate_bps: float = 0.0
    round_trip_s: float = 0.0
    loss: float = 0.0


@contextmanager
def thin_line(port: int, shape: Shape) -> Iterator[int]:
    """Yield a port of this machine behind which `port` is at the end of such a line. Runs in a thread of its own."""
    ready: list[int] = []
    lines: list[asyncio.StreamWriter] = []
    started, ended = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            lines.append(writer)
            with suppress(OSError, asyncio.CancelledError):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
                lines.append(far_writer)
                ways = (_carry(reader, far_writer, shape, 1), _carry(far_reader, writer, shape, 2))
                await asyncio.gather(*ways)

        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BYTES)
        listener.bind(("127.0.0.1", 0))
        server = await asyncio.start_server(join, sock=listener)
        ready.append(int(listener.getsockname()[1]))
        started.set()
        await ended.wait()
        server.close()
        await hang_up(lines)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="thin-line")
    with closing(loop):
        thread.start()
        started.wait()
        try:
            yield ready[0]
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, shape: Shape, seed: int) -> None:
    loop, dice = asyncio.get_running_loop(), random.Random(seed)
    free_s = due_s = 0.0
    while data := await reader.read(1 << 14):
        now_s = loop.time()
        free_s = max(now_s, free_s) + (len(data) * 8 / shape.rate_bps if shape.rate_bps else 0.0)
        due_s = max(due_s + _TICK_S, free_s + shape.round_trip_s / 2 + _lost_s(len(data), shape, dice))
        loop.call_at(due_s, writer.write, data)
        if free_s - now_s > _BUFFER_S:
            await asyncio.sleep(free_s - now_s - _BUFFER_S)
    loop.call_at(max(due_s, loop.time()) + _TICK_S, writer.close)


def _lost_s(size_bytes: int, shape: Shape, dice: random.Random) -> float:
    """Return how much later a piece comes because a packet of it was lost."""
    packets = -(-size_bytes // _PACKET_BYTES)
    lost = [number for number in range(packets) if dice.random() < shape.loss]
    if not lost:
        return 0.0
    return shape.round_trip_s + (_TIMER_S if lost[-1] > packets - 4 else _REORDER_S)
