"""What viewers, and whoever looks at the fleet, ask of the server: who is there, what was painted, what they wish for.

`transport.py` has the rest, and the schema at its head. This much is all that the ACL role of a viewer may do (its
operator asks for queues and memory too), and nothing here puts a frame in flight or takes one.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Self

from pipeline.protocol.frame import Look
from pipeline.protocol.records import (
    Heartbeat,
    PaintedEntry,
    StreamRecord,
    look_facts,
    parse_heartbeat,
    parse_painted,
    parse_stream,
)
from pipeline.server.connection import open_client, translated

# A stream whose producer gave no sign for this long is over; its keys go by themselves.
STREAM_TTL_MS = 60_000
WORKER_TTL_MS = 6_000
# A viewer that compares says so again within this time.
COMPARE_MS = 5_000


class ViewerTransport:
    """The server as a viewer knows it; threads may share it. Every method raises `ServerGone` or `ServerFull`."""

    def __init__(self, client: Any) -> None:
        # redis-py types its answers as unions over every option of a client; `records.py` reads them.
        self._redis = client

    @classmethod
    def connect(cls, url: str) -> Self:
        """Make a client for a Celery-style URL; nothing is sent before the first call."""
        return cls(open_client(url))

    def close(self) -> None:
        """Give the connections back."""
        self._redis.close()

    def keep_open(self, connections: int) -> None:
        """Open as many connections as threads may ask at the same moment, so that none is opened later under load.

        The client opens one only where all are busy, and keeps it: two workers held one more from the 28th minute of an
        hour on, when for the first time three of their threads asked at once.
        """
        pool = self._redis.connection_pool
        with translated(), ExitStack() as opened:
            for _ in range(connections):
                opened.callback(pool.release, pool.get_connection())

    # -- who is there --------------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """Return the server's clock."""
        with translated():
            seconds, micros = self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def workers(self) -> list[Heartbeat]:
        """Return the workers that gave a sign within the last 6 s, by name; older ones are forgotten."""
        with translated():
            now = self.now_ms()
            self._redis.zremrangebyscore("workers", "-inf", now - WORKER_TTL_MS)
            names = sorted(name.decode() for name in self._redis.zrange("workers", 0, -1))
            with self._redis.pipeline(transaction=False) as batch:
                for name in names:
                    batch.hgetall(f"worker:{name}")
                return [parse_heartbeat(found) for found in batch.execute() if found]

    def streams(self) -> list[StreamRecord]:
        """Return the streams whose producers gave a sign of life within their time, by name."""
        with translated():
            now = self.now_ms()
            self._redis.zremrangebyscore("streams", "-inf", now - STREAM_TTL_MS)
            signs: list[Any] = self._redis.zrange("streams", 0, -1, withscores=True)
            with self._redis.pipeline(transaction=True) as batch:
                for name, _ in signs:
                    batch.hgetall(b"stream:" + name)
                    batch.zcard(b"inflight:" + name)
                found = batch.execute()
        pairs = zip(signs, found[::2], found[1::2], strict=True)
        cards = [
            parse_stream(name.decode(), (now - sign) / 1000, facts, flying)
            for (name, sign), facts, flying in pairs
            if facts
        ]
        return sorted(cards, key=lambda card: card.name)

    def stream_facts(self, stream: str) -> dict[str, str]:
        """Return the hash of `stream`, empty when it is over."""
        with translated():
            return {k.decode(): v.decode() for k, v in self._redis.hgetall(f"stream:{stream}").items()}

    def queue_lengths(self, queues: Sequence[str]) -> dict[str, int]:
        """Return how many tickets wait in each queue."""
        with translated(), self._redis.pipeline(transaction=False) as batch:
            for queue in queues:
                batch.llen(queue)
            return dict(zip(queues, batch.execute(), strict=True))

    def memory(self) -> tuple[int, int]:
        """Return the bytes the server uses, and may use at most (0: without bound)."""
        with translated():
            found = self._redis.info("memory")
        return int(found["used_memory"]), int(found.get("maxmemory", 0))

    # -- what was painted ----------------------------------------------------------------------------------------------

    def newest(self, stream: str) -> PaintedEntry | None:
        """Return the newest painted entry of `stream`, None before the first."""
        with translated():
            found = self._redis.xrevrange(f"painted:{stream}", count=1)
        return parse_painted(*found[0]) if found else None

    def read(self, stream: str, after: bytes, *, block_ms: int, count: int = 16) -> list[PaintedEntry]:
        """Return painted entries later than `after` (b"0-0": from the oldest kept), waiting `block_ms` for one."""
        with translated():
            found = self._redis.xread({f"painted:{stream}": after}, count=count, block=block_ms)
        return [parse_painted(entry_id, raw) for entry_id, raw in found[0][1]] if found else []

    def read_many(self, cursors: Mapping[str, bytes], *, block_ms: int) -> dict[str, list[PaintedEntry]]:
        """Return painted entries of several streams, each later than its cursor, waiting `block_ms` for one."""
        if not cursors:
            return {}
        with translated():
            found = self._redis.xread({f"painted:{name}": after for name, after in cursors.items()}, block=block_ms)
        return {key.decode().partition(":")[2]: [parse_painted(*item) for item in items] for key, items in found or []}

    # -- what is wished ------------------------------------------------------------------------------------------------

    def wish(self, stream: str, style: str, look: Look) -> bool:
        """Wish a style and look for the next frames of a live stream. False: no such stream."""
        return self._tell(stream, {"style": style, **look_facts(look)})

    def ask_sources(self, stream: str) -> None:
        """Have the source's bytes in painted entries for the next 5 s."""
        self._tell(stream, {"compare_until": self.now_ms() + COMPARE_MS})

    def _tell(self, stream: str, facts: Mapping[str, str | int | float]) -> bool:
        with translated(), self._redis.pipeline(transaction=True) as batch:
            if not self._redis.exists(f"stream:{stream}"):
                return False
            batch.hset(f"stream:{stream}", mapping=dict(facts))
            # One that ends just now is written once more, and must not stay for that.
            batch.pexpire(f"stream:{stream}", STREAM_TTL_MS)
            batch.execute()
        return True
