"""Every command of ours to the server, and the whole schema. Nobody else talks to it (Celery keeps its own keys).

    key                   type     written by           read by           life
    style.<style>[.live]  list     Celery (producer)    Celery (worker)   Celery's own queues of tickets
    frame:<stream>:<seq>  string   producer             worker            deleted at publish; expires otherwise
    inflight:<stream>     zset     producer, worker     producer          seq → -ms sent (unclaimed), or lease deadline
    painted:<stream>      stream   worker               viewers           exact MAXLEN, above twice the window
    stream:<stream>       hash     producer, viewer     all               style, look, mode, size, counters; expires
    streams               zset     producer             viewers           stream → ms of its last sign of life
    live:<style>          zset     producer, worker     live producers    the window: stream:seq, or who is called → ms
    asking:<style>        zset     live producer        worker, producers stream → ms it last asked for a place
    served:<style>        zset     live producer        worker, producers stream → ms it was last served
    credit:<style>        pub/sub  worker               live producers    whose turn a free place is; nothing kept
    workers               zset     worker               producer, status  worker → ms of its last beat
    worker:<worker>       hash     worker               producer, status  style, device, threads, …; expires
    rebalance             string   launcher             launchers         whose turn it is to move a worker; expires
    moves                 zset     launcher             launchers         "old new" worker → ms until it counts; expires

Times are the server's own clock in ms, compared with nothing else. The scripts beside this file (`scripts/*.lua`) say
what they expect and why their order is as it is. Entries of `painted:` carry `seq`, `published`, `kind` (painted |
failed), `source` (the source's bytes while a viewer compares) and `frame` and `stages`, or `reason`.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import redis

from pipeline.connection import hear, open_client, script, translated
from pipeline.frame import EncodedFrame, Look
from pipeline.rebalance import Rename
from pipeline.records import (
    Claim,
    Entry,
    Flight,
    Placing,
    StreamCard,
    WorkerBeat,
    look_facts,
    number,
    parse_beat,
    parse_card,
    parse_entry,
    parse_placing,
)
from pipeline.window import LiveWindow
from pipeline.wire import Message, Stages, pack_frame, pack_stages

# A stream whose producer gave no sign for this long is over; its keys go by themselves.
STREAM_TTL_MS = 60_000
WORKER_TTL_MS = 6_000
# A place in the live window outlives its frame's longest wait and lease; only a dead producer leaves one so long.
_PLACE_MS = 10_000
# Who asked for a place within this time counts as waiting; the poll behind the wake-ups is well below it.
_ASKING_MS = 400
# A launcher looks and decides within a few ms; one that was stopped meanwhile has lost its turn.
_TURN_MS = 5_000
# A move counts until its new worker gave a sign of life; a launcher that died over it must not count for ever.
MOVE_MS = 60_000
# A viewer that compares says so again within this time.
COMPARE_MS = 5_000


class Transport:
    """The server as the rooms know it; threads may share it. Every method raises `ServerGone` or `ServerFull`."""

    def __init__(self, client: "redis.Redis") -> None:
        # redis-py types its answers as unions over every option of a client; `records.py` reads them.
        self._redis: Any = client
        # Deadline of each frame this process holds: only its holder may renew, release or fail it.
        self._leases: dict[tuple[str, int], int] = {}
        self._submit = client.register_script(script("submit"))
        self._claim = client.register_script(script("claim"))
        self._renew = client.register_script(script("renew"))
        self._publish = client.register_script(script("publish"))
        self._submit_live = client.register_script(script("submit_live"))
        self._move = client.register_script(script("move"))

    @classmethod
    def connect(cls, url: str) -> "Transport":
        """Make a client for a Celery-style URL; nothing is sent before the first call."""
        return cls(open_client(url))

    def close(self) -> None:
        """Give the connections back."""
        self._redis.close()

    # -- producer ----------------------------------------------------------------------------------------------

    def open_stream(self, stream: str, facts: Mapping[str, str | int | float]) -> None:
        """Announce `stream` with its facts (`maxlen` among them), or change some. Idempotent."""
        self._sign(stream, facts)

    def touch_stream(self, stream: str) -> None:
        """Give a stream's sign of life."""
        self._sign(stream, {})

    def _sign(self, stream: str, facts: Mapping[str, str | int | float]) -> None:
        now = self.now_ms()
        with translated(), self._redis.pipeline(transaction=True) as batch:
            if facts:
                batch.hset(f"stream:{stream}", mapping=dict(facts))
            for key in ("stream", "inflight", "painted"):
                batch.pexpire(f"{key}:{stream}", STREAM_TTL_MS)
            batch.zadd("streams", {stream: now})
            batch.execute()

    def submit(
        self, stream: str, seq: int, document: bytes, ticket: Message | None = None, *, expected: float | None = None
    ) -> bool:
        """Put a frame in flight and queue its ticket. A resend names the score it `expected`; False: no longer so."""
        keys, body = [f"frame:{stream}:{seq}", f"inflight:{stream}", *_queue(ticket)], ticket.body if ticket else b""
        score = "" if expected is None else number(expected)
        with translated():
            return bool(self._submit(keys=keys, args=[document, seq, STREAM_TTL_MS, score, body]))

    def flight(self, stream: str, queue: str) -> Flight:
        """Return everything a producer decides resends from, read at one moment."""
        with translated(), self._redis.pipeline(transaction=True) as batch:
            batch.time()
            batch.hexists(f"stream:{stream}", "maxlen")
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
        with translated(), self._redis.pipeline(transaction=True) as batch:
            batch.zrem(f"inflight:{stream}", *seqs)
            batch.delete(*(f"frame:{stream}:{seq}" for seq in seqs))
            batch.execute()

    def forget_stream(self, stream: str, seqs: list[int]) -> None:
        """Remove all of `stream`; `seqs` names the frames that may still be in flight."""
        self.abandon(stream, seqs)
        with translated():
            self._redis.delete(f"stream:{stream}", f"inflight:{stream}", f"painted:{stream}")
            self._redis.zrem("streams", stream)

    def trim(self, stream: str, written: bytes) -> None:
        """Drop painted entries up to and including `written`; for a file's own reader when memory is short."""
        milliseconds, _, counter = written.partition(b"-")
        with translated():
            self._redis.xtrim(
                f"painted:{stream}", minid=f"{milliseconds.decode()}-{int(counter) + 1}", approximate=False
            )

    def stream_facts(self, stream: str) -> dict[str, str]:
        """Return the hash of `stream`, empty when it is over."""
        with translated():
            return {k.decode(): v.decode() for k, v in self._redis.hgetall(f"stream:{stream}").items()}

    # -- live producer -----------------------------------------------------------------------------------------

    def return_place(self, style: str, stream: str, seq: int) -> None:
        """Give back the place of a frame that nobody will paint."""
        with translated():
            self._redis.zrem(f"live:{style}", f"{stream}:{seq}")
            self._redis.publish(f"credit:{style}", "")

    def ask_place(self, stream: str, window: LiveWindow) -> Placing:
        """Ask for a place for a frame that waits; the stream served longest ago goes first. Nothing is taken yet."""
        return self._place(stream, -1, window, None, b"", -1, 0, 0, 0)

    def submit_live(
        self, stream: str, frame: EncodedFrame, ticket: Message | None = None, *, window: LiveWindow, dropped: int
    ) -> Placing:
        """Put a frame in flight if there is a place for it; if not, the stream asks for one.

        `dropped` counts since the stream began. The same `seq` again changes nothing.
        """
        told = (pack_frame(frame), frame.seq, dropped, frame.width, frame.height)
        return self._place(stream, frame.seq, window, ticket, *told)

    def _place(self, stream: str, seq: int, window: LiveWindow, ticket: Message | None, *told: bytes | int) -> Placing:
        keys = [f"frame:{stream}:{seq}", f"inflight:{stream}", f"stream:{stream}", *_window(window.style)]
        asked = (stream, window.places, STREAM_TTL_MS, _PLACE_MS, _ASKING_MS, f"credit:{window.style}")
        with translated():
            found = self._submit_live(
                keys=[*keys, *_queue(ticket)], args=[*told, *asked, ticket.body if ticket else b""]
            )
        return parse_placing(*found)

    def give_up(self, style: str, stream: str, seq: int, score: float, reason: str) -> bool:
        """Publish a tombstone for a live frame whose in-flight score is still `score`."""
        return self._finish(stream, seq, number(score), style, "failed", {"reason": reason})

    @contextmanager
    def credits(self, style: str, stream: str) -> Iterator[Callable[[float], bool]]:
        """Yield a call that waits up to its `timeout_s` for a place of `style`. True: it is this stream's turn."""
        calls = (b"", stream.encode())
        with self._redis.pubsub(ignore_subscribe_messages=True) as wakeups:
            with translated():
                wakeups.subscribe(f"credit:{style}")

            def wait(timeout_s: float) -> bool:
                end_s = time.monotonic() + timeout_s
                while (heard := hear(wakeups, end_s)) is not None:
                    if heard in calls:
                        return True
                return False

            yield wait

    # -- worker ------------------------------------------------------------------------------------------------

    def claim(self, stream: str, seq: int, lease_ms: int) -> Claim | None:
        """Take a frame for `lease_ms`. None: nothing to do (published, given up, or held by another)."""
        with translated():
            found = self._claim(
                keys=[f"inflight:{stream}", f"frame:{stream}:{seq}"], args=[seq, lease_ms, STREAM_TTL_MS]
            )
        if not found:
            return None
        sent_ms, claimed_ms, deadline, document = found
        self._leases[stream, seq] = deadline
        return Claim(document, sent_ms, claimed_ms)

    def is_unclaimed(self, stream: str, seq: int) -> bool:
        """Whether a frame waits for a worker to claim it."""
        with translated():
            score = self._redis.zscore(f"inflight:{stream}", seq)
        return score is not None and score < self.now_ms()

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
        entry: dict[str, str | bytes] = {"frame": document, "stages": pack_stages(stages)}
        return self._finish(stream, seq, "", stages.style, "painted", entry)

    def fail(self, stream: str, seq: int, reason: str, style: str = "") -> bool:
        """Publish a tombstone in place of a claimed frame. False: it is no longer ours."""
        held = self._leases.pop((stream, seq), None)
        return held is not None and self._finish(stream, seq, str(held), style, "failed", {"reason": reason[:500]})

    def beat_worker(self, beat: WorkerBeat) -> None:
        """Give a worker's sign of life."""
        with translated(), self._redis.pipeline(transaction=True) as batch:
            batch.hset(f"worker:{beat.name}", mapping=asdict(beat))
            batch.pexpire(f"worker:{beat.name}", WORKER_TTL_MS)
            batch.execute()
            self._redis.zadd("workers", {beat.name: self.now_ms()})

    def forget_worker(self, name: str) -> None:
        """Remove a worker that leaves."""
        with translated():
            self._redis.delete(f"worker:{name}")
            self._redis.zrem("workers", name)

    # -- launcher ----------------------------------------------------------------------------------------------

    def take_turn(self, token: str) -> bool:
        """Become the one launcher that may decide about a move, for at most 5 s. False: another one decides now."""
        with translated():
            return bool(self._redis.set("rebalance", token, nx=True, px=_TURN_MS))

    def end_turn(self, token: str, move: Rename | None) -> bool:
        """Let the next launcher decide. True: `move` is noted, carry it out. False: none, or the turn was over."""
        member = f"{move.old} {move.new}" if move else ""
        with translated():
            return bool(self._move(keys=["rebalance", "moves"], args=[token, member, MOVE_MS]))

    def moves(self) -> list[Rename]:
        """Return the moves under way."""
        with translated():
            now = self.now_ms()
            found = self._redis.zrangebyscore("moves", now, "+inf")
        return [Rename(*member.decode().split(" ", 1)) for member in found]

    def end_move(self, move: Rename) -> None:
        """Note that the move's new worker is there: its own beats count from now on."""
        with translated():
            self._redis.zrem("moves", f"{move.old} {move.new}")

    # -- anyone ------------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """Return the server's clock."""
        with translated():
            seconds, micros = self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def workers(self) -> list[WorkerBeat]:
        """Return the workers that gave a sign within the last 6 s, by name; older ones are forgotten."""
        with translated():
            now = self.now_ms()
            self._redis.zremrangebyscore("workers", "-inf", now - WORKER_TTL_MS)
            names = sorted(name.decode() for name in self._redis.zrange("workers", 0, -1))
            with self._redis.pipeline(transaction=False) as batch:
                for name in names:
                    batch.hgetall(f"worker:{name}")
                return [parse_beat(found) for found in batch.execute() if found]

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

    def newest(self, stream: str) -> Entry | None:
        """Return the newest painted entry of `stream`, None before the first."""
        with translated():
            found = self._redis.xrevrange(f"painted:{stream}", count=1)
        return parse_entry(*found[0]) if found else None

    def read(self, stream: str, after: bytes, *, block_ms: int, count: int = 16) -> list[Entry]:
        """Return painted entries later than `after` (b"0-0": from the oldest kept), waiting `block_ms` for one."""
        with translated():
            found = self._redis.xread({f"painted:{stream}": after}, count=count, block=block_ms)
        return [parse_entry(entry_id, raw) for entry_id, raw in found[0][1]] if found else []

    def read_many(self, cursors: Mapping[str, bytes], *, block_ms: int) -> dict[str, list[Entry]]:
        """Return painted entries of several streams, each later than its cursor, waiting `block_ms` for one."""
        if not cursors:
            return {}
        with translated():
            found = self._redis.xread({f"painted:{name}": after for name, after in cursors.items()}, block=block_ms)
        return {key.decode().partition(":")[2]: [parse_entry(*item) for item in items] for key, items in found or []}

    def last_entry_id(self, stream: str) -> bytes:
        """Return the cursor behind a stream's newest entry."""
        newest = self.newest(stream)
        return newest.entry_id if newest else b"0-0"

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

    def streams(self) -> list[StreamCard]:
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
            parse_card(name.decode(), (now - sign) / 1000, facts, flying)
            for (name, sign), facts, flying in pairs
            if facts
        ]
        return sorted(cards, key=lambda card: card.name)

    def _move_lease(self, stream: str, seq: int, lease_ms: int) -> bool:
        held = self._leases.get((stream, seq))
        if held is None:
            return False
        with translated():
            deadline = self._renew(keys=[f"inflight:{stream}"], args=[seq, held, lease_ms, STREAM_TTL_MS])
        if deadline and (stream, seq) in self._leases:
            self._leases[stream, seq] = deadline
        return bool(deadline)

    def _finish(
        self, stream: str, seq: int, held: str, style: str, kind: str, entry: Mapping[str, str | bytes]
    ) -> bool:
        keys = [f"inflight:{stream}", f"frame:{stream}:{seq}", f"painted:{stream}", f"stream:{stream}", *_window(style)]
        told = (seq, held, f"{stream}:{seq}", f"credit:{style}", _PLACE_MS, _ASKING_MS, STREAM_TTL_MS, kind)
        with translated():
            return bool(self._publish(keys=keys, args=[*told, *(part for pair in entry.items() for part in pair)]))


def _window(style: str) -> tuple[str, str, str]:
    return f"live:{style}", f"asking:{style}", f"served:{style}"


def _queue(ticket: Message | None) -> list[str]:
    return [ticket.queue] if ticket else []
