"""Every command of ours to the server, and the whole schema. Nobody else talks to it (Celery keeps its own keys).

    key                   type     written by           read by           life
    style.<style>[.live]  list     Celery (producer)    Celery (worker)   Celery's own queues of tickets
    frame:<stream>:<seq>  string   producer             worker            deleted at publish; expires otherwise
    inflight:<stream>     zset     producer, worker     producer          seq → -ms sent (unclaimed), or lease deadline
    painted:<stream>      stream   worker               viewers           exact MAXLEN, twice the stream's window
    credit:<stream>       pub/sub  worker               producer          a wake-up, nothing kept
    stream:<stream>       hash     producer             all               maxlen, style, mode, size, duplicates; expires
    streams               zset     producer             viewers           stream → ms of its last sign of life
    workers               zset     worker               producer, status  worker → ms of its last beat
    worker:<worker>       hash     worker               producer, status  style, device, threads, …; expires

Times are the server's own clock in ms, compared with nothing else. The scripts beside this file (`scripts/*.lua`) say
what they expect and why their order is as it is. Entries of `painted:` carry `seq`, `published`, `kind` (painted |
failed) and with it `frame` and `stages`, or `reason`.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from pipeline.errors import ServerFull, ServerGone, ServerUnreachable
from pipeline.wire import Stages, pack_stages

# A stream whose producer gave no sign for this long is over; its keys go by themselves.
STREAM_TTL_MS = 60_000
WORKER_TTL_MS = 6_000
# Above every block time below, or a quiet stream would look like a dead server.
_SOCKET_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A frame handed to a worker: its document, and when it was sent and claimed (server ms)."""

    document: bytes
    sent_ms: int
    claimed_ms: int


@dataclass(frozen=True, slots=True)
class Flight:
    """A stream's state as its producer sees it, in one look."""

    now_ms: int
    run_id: str
    exists: bool
    queue_length: int
    scores: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a painted stream. `kind`: painted (with frame and stages) or failed (with reason)."""

    entry_id: bytes
    kind: str
    seq: int
    published_ms: int
    frame: bytes = b""
    stages: bytes = b""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WorkerBeat:
    """A worker's sign of life. `fps` over its last seconds; `rss_bytes` its resident memory."""

    name: str
    style: str
    device: str
    threads: int
    fps: float = 0.0
    painted: int = 0
    rss_bytes: int = 0
    pid: int = 0
    host: str = ""


class Transport:
    """The server as the rooms know it; threads may share it. Every method raises `ServerGone` or `ServerFull`."""

    def __init__(self, client: "redis.Redis") -> None:
        self._redis = client
        # Deadline of each frame this process holds: only its holder may renew, release or fail it.
        self._leases: dict[tuple[str, int], int] = {}
        self._submit = client.register_script(_script("submit"))
        self._claim = client.register_script(_script("claim"))
        self._renew = client.register_script(_script("renew"))
        self._publish = client.register_script(_script("publish"))

    @classmethod
    def connect(cls, url: str) -> "Transport":
        """Make a client for a Celery-style URL; nothing is sent before the first call."""
        return cls(_client(url))

    def close(self) -> None:
        """Give the connections back."""
        self._redis.close()

    # -- producer ----------------------------------------------------------------------------------------------

    def open_stream(self, stream: str, facts: Mapping[str, str | int]) -> None:
        """Announce `stream` and its facts (`maxlen` among them), or give a sign of life. Idempotent."""
        with _errors(), self._redis.pipeline(transaction=True) as batch:
            batch.hset(f"stream:{stream}", mapping=dict(facts))
            batch.pexpire(f"stream:{stream}", STREAM_TTL_MS)
            batch.pexpire(f"inflight:{stream}", STREAM_TTL_MS)
            batch.pexpire(f"painted:{stream}", STREAM_TTL_MS)
            batch.execute()
            self._redis.zadd("streams", {stream: self.now_ms()})

    def submit(self, stream: str, seq: int, document: bytes, *, expected: float | None = None) -> bool:
        """Put a frame in flight. A resend names the score it `expected`; False: no longer so, nothing done."""
        keys = [f"frame:{stream}:{seq}", f"inflight:{stream}"]
        score = "" if expected is None else _number(expected)
        with _errors():
            return bool(self._submit(keys=keys, args=[document, seq, STREAM_TTL_MS, score]))

    def flight(self, stream: str, queue: str) -> Flight:
        """Return everything a producer decides resends from, read at one moment."""
        with _errors(), self._redis.pipeline(transaction=True) as batch:
            batch.time()
            batch.exists(f"stream:{stream}")
            batch.llen(queue)
            batch.zrange(f"inflight:{stream}", 0, -1, withscores=True)
            batch.info("server")
            (seconds, micros), exists, length, scores, server = batch.execute()
        return Flight(
            now_ms=seconds * 1000 + micros // 1000,
            run_id=str(server["run_id"]),
            exists=bool(exists),
            queue_length=length,
            scores={int(seq): score for seq, score in scores},
        )

    def abandon(self, stream: str, seqs: list[int]) -> None:
        """Take frames out of flight; tickets still queued for them find nothing to do."""
        if not seqs:
            return
        with _errors(), self._redis.pipeline(transaction=True) as batch:
            batch.zrem(f"inflight:{stream}", *seqs)
            batch.delete(*(f"frame:{stream}:{seq}" for seq in seqs))
            batch.execute()

    def forget_stream(self, stream: str, seqs: list[int]) -> None:
        """Remove all of `stream`; `seqs` names the frames that may still be in flight."""
        self.abandon(stream, seqs)
        with _errors():
            self._redis.delete(f"stream:{stream}", f"inflight:{stream}", f"painted:{stream}")
            self._redis.zrem("streams", stream)

    def trim(self, stream: str, written: bytes) -> None:
        """Drop painted entries up to and including `written`; for a file's own reader when memory is short."""
        milliseconds, _, counter = written.partition(b"-")
        with _errors():
            self._redis.xtrim(
                f"painted:{stream}", minid=f"{milliseconds.decode()}-{int(counter) + 1}", approximate=False
            )

    def stream_facts(self, stream: str) -> dict[str, str]:
        """Return the hash of `stream`, empty when it is over."""
        with _errors():
            return {k.decode(): v.decode() for k, v in self._redis.hgetall(f"stream:{stream}").items()}

    # -- worker ------------------------------------------------------------------------------------------------

    def claim(self, stream: str, seq: int, lease_ms: int) -> Claim | None:
        """Take a frame for `lease_ms`. None: nothing to do (published, given up, or held by another)."""
        with _errors():
            found = self._claim(keys=[f"inflight:{stream}", f"frame:{stream}:{seq}"], args=[seq, lease_ms])
        if not found:
            return None
        sent_ms, claimed_ms, deadline, document = found
        self._leases[stream, seq] = deadline
        return Claim(document, sent_ms, claimed_ms)

    def renew(self, stream: str, seq: int, lease_ms: int) -> bool:
        """Hold a claimed frame for `lease_ms` from now. False: it is no longer ours."""
        return self._move_lease(stream, seq, lease_ms)

    def release(self, stream: str, seq: int, reason: str) -> None:
        """Hand a claimed frame back, to be sent again at once. `reason` is for the caller's log."""
        del reason
        self._move_lease(stream, seq, 0)
        self._leases.pop((stream, seq), None)

    def publish(self, stream: str, seq: int, document: bytes, stages: Stages) -> bool:
        """Publish a painted frame. False: a duplicate, counted and dropped."""
        self._leases.pop((stream, seq), None)
        return self._finish(stream, seq, "", {"kind": "painted", "frame": document, "stages": pack_stages(stages)})

    def fail(self, stream: str, seq: int, reason: str) -> bool:
        """Publish a tombstone in place of a claimed frame. False: it is no longer ours."""
        held = self._leases.pop((stream, seq), None)
        return held is not None and self._finish(stream, seq, str(held), {"kind": "failed", "reason": reason[:500]})

    def beat_worker(self, beat: WorkerBeat) -> None:
        """Give a worker's sign of life."""
        with _errors(), self._redis.pipeline(transaction=True) as batch:
            batch.hset(f"worker:{beat.name}", mapping=asdict(beat))
            batch.pexpire(f"worker:{beat.name}", WORKER_TTL_MS)
            batch.execute()
            self._redis.zadd("workers", {beat.name: self.now_ms()})

    def forget_worker(self, name: str) -> None:
        """Remove a worker that leaves."""
        with _errors():
            self._redis.delete(f"worker:{name}")
            self._redis.zrem("workers", name)

    # -- anyone ------------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """Return the server's clock."""
        with _errors():
            seconds, micros = self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def workers(self) -> list[WorkerBeat]:
        """Return the workers that gave a sign within the last 6 s, by name; older ones are forgotten."""
        with _errors():
            now = self.now_ms()
            self._redis.zremrangebyscore("workers", "-inf", now - WORKER_TTL_MS)
            names = sorted(name.decode() for name in self._redis.zrange("workers", 0, -1))
            with self._redis.pipeline(transaction=False) as batch:
                for name in names:
                    batch.hgetall(f"worker:{name}")
                return [_beat(found) for found in batch.execute() if found]

    def read(self, stream: str, after: bytes, *, block_ms: int, count: int = 16) -> list[Entry]:
        """Return painted entries later than `after` (b"0-0": from the oldest kept), waiting `block_ms` for one."""
        with _errors():
            found = self._redis.xread({f"painted:{stream}": after}, count=count, block=block_ms)
        return [_entry(entry_id, raw) for entry_id, raw in found[0][1]] if found else []

    def _move_lease(self, stream: str, seq: int, lease_ms: int) -> bool:
        held = self._leases.get((stream, seq))
        if held is None:
            return False
        with _errors():
            deadline = self._renew(keys=[f"inflight:{stream}"], args=[seq, held, lease_ms])
        if deadline and (stream, seq) in self._leases:
            self._leases[stream, seq] = deadline
        return bool(deadline)

    def _finish(self, stream: str, seq: int, held: str, entry: Mapping[str, str | bytes]) -> bool:
        keys = [f"inflight:{stream}", f"frame:{stream}:{seq}", f"painted:{stream}", f"stream:{stream}"]
        values = [part for pair in entry.items() for part in pair]
        with _errors():
            return bool(self._publish(keys=keys, args=[seq, held, f"credit:{stream}", *values]))


def answers(url: str) -> bool:
    """Return whether a server answers at `url`, without waiting for one."""
    if url.startswith("redis+socket:") and not os.path.exists(urlsplit(url).path):
        return False
    try:
        with _client(url, timeout_s=2.0, retries=0) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def require_server(url: str) -> None:
    """Raise `ServerUnreachable`, naming `url` without its password, unless a server answers there."""
    if not answers(url):
        raise ServerUnreachable(
            f"no server answers at {without_password(url)}; start one, or unset BROKER_URL for the embedded one"
        )


def without_password(url: str) -> str:
    """Return `url` fit to be shown."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, host = parts.username or "", parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{user}:***@{host}").geturl()


def _client(url: str, *, timeout_s: float = _SOCKET_TIMEOUT_S, retries: int = 2) -> "redis.Redis":
    parts = urlsplit(url)
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": min(timeout_s, 2.0),
        # Few and quick: callers wait out an outage themselves, with a deadline they know.
        "retry": Retry(ExponentialBackoff(cap=0.2, base=0.02), retries),
    }
    if parts.scheme in ("redis+socket", "unix"):
        database = int(parse_qs(parts.query).get("virtual_host", ["0"])[0])
        return redis.Redis(unix_socket_path=parts.path, db=database, password=parts.password, **options)
    try:
        return redis.Redis.from_url(url, health_check_interval=5, **options)
    except ValueError as error:
        raise ServerUnreachable(
            f"BROKER_URL {without_password(url)!r} is not redis://, rediss:// or redis+socket://"
        ) from error


@contextmanager
def _errors() -> Iterator[None]:
    """Turn the client's errors into the two a caller can act on."""
    try:
        yield
    except redis.OutOfMemoryError as error:
        raise ServerFull("the server is at its maxmemory") from error
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise ServerGone(str(error)) from error
    except redis.ResponseError as error:
        # A script's refusal at maxmemory keeps its OOM code only as the text's first word.
        if str(error).startswith("OOM"):
            raise ServerFull("the server is at its maxmemory") from error
        raise


@lru_cache(maxsize=8)
def _script(name: str) -> str:
    return files("pipeline").joinpath("scripts", f"{name}.lua").read_text("utf-8")


def _number(score: float) -> str:
    return str(int(score)) if score == int(score) else repr(score)


def _beat(found: Mapping[bytes, bytes]) -> WorkerBeat:
    kinds: dict[str, Callable[[str], Any]] = {
        "threads": int,
        "fps": float,
        "painted": int,
        "rss_bytes": int,
        "pid": int,
    }
    values = {f.name: kinds.get(f.name, str)(found.get(f.name.encode(), b"0").decode()) for f in fields(WorkerBeat)}
    return WorkerBeat(**values)


def _entry(entry_id: bytes, raw: Mapping[bytes, bytes]) -> Entry:
    return Entry(
        entry_id=entry_id,
        kind=raw.get(b"kind", b"").decode(),
        seq=int(raw.get(b"seq", b"-1")),
        published_ms=int(raw.get(b"published", b"0")),
        frame=raw.get(b"frame", b""),
        stages=raw.get(b"stages", b""),
        reason=raw.get(b"reason", b"").decode(errors="replace"),
    )
