"""Our commands to the server (a viewer's: `viewer_transport.py`), and the whole schema. Celery keeps its own keys.

    key                   type     written by           read by           life
    style.<style>[.live]  list     Celery (producer)    Celery (worker)   Celery's own queues of tickets
    frame:<stream>:<seq>  string   producer             worker            deleted at publish; expires otherwise
    inflight:<stream>     zset     producer, worker     producer          seq → -ms sent (unclaimed), or lease deadline
    painted:<stream>      stream   worker               viewers           exact MAXLEN, above twice the window
    stream:<stream>       hash     producer, viewer     all               style, look, mode, counters, losses; expires
    stream:<stream>:failures  hash  worker         producer          "seq worker" → why its painting failed; expires
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

import redis

from pipeline.flow.resend import Overdue
from pipeline.flow.window import LiveWindow
from pipeline.protocol.frame import EncodedFrame
from pipeline.protocol.queues import failures_key, queue_of, window_keys
from pipeline.protocol.records import (
    Claim,
    DropReason,
    Heartbeat,
    InFlight,
    Rename,
    SubmitResult,
    drops_fact,
    number,
    parse_failures,
    parse_submit_result,
)
from pipeline.protocol.wire import Message, Stages, pack_frame, pack_stages
from pipeline.server.connection import receive, script, translated
from pipeline.server.viewer_transport import STREAM_TTL_MS, WORKER_TTL_MS, ViewerTransport

# A place in the live window outlives its frame's longest wait and lease; only a dead producer leaves one so long.
_PLACE_MS = 10_000
# Who asked for a place within this time counts as waiting; the poll behind the wake-ups is well below it.
_ASKING_MS = 400
# A launcher looks and decides within a few ms; one that was stopped meanwhile has lost its turn.
_TURN_MS = 5_000
# A move counts until its new worker gave a sign of life; a launcher that died over it must not count for ever.
MOVE_MS = 60_000


class Transport(ViewerTransport):
    """The server as those know it who send frames, paint them and bring workers; a viewer's part comes along."""

    def __init__(self, client: "redis.Redis") -> None:
        super().__init__(client)
        # Deadline of each frame this process holds: only its holder may renew, release or fail it.
        self._leases: dict[tuple[str, int], int] = {}
        self._submit = client.register_script(script("submit"))
        self._claim = client.register_script(script("claim"))
        self._renew = client.register_script(script("renew"))
        self._publish = client.register_script(script("publish"))
        self._submit_live = client.register_script(script("submit_live"))
        self._move = client.register_script(script("move"))

    # -- producer ----------------------------------------------------------------------------------------------

    def open_stream(self, stream: str, facts: Mapping[str, str | int | float]) -> None:
        """Announce `stream` with its facts (`maxlen` among them), or change some; its tickets stay. Idempotent."""
        self._sign(stream, facts, queue_of(str(facts.get("style", ""))))

    def touch_stream(self, stream: str) -> None:
        """Give a stream's sign of life."""
        self._sign(stream, {})

    def _sign(self, stream: str, facts: Mapping[str, str | int | float], queue: str = "") -> None:
        now = self.now_ms()
        with translated(), self._redis.pipeline(transaction=True) as batch:
            if facts:
                batch.hset(f"stream:{stream}", mapping=dict(facts)).pexpire(queue, STREAM_TTL_MS)
            for key in ("stream", "inflight", "painted"):
                batch.pexpire(f"{key}:{stream}", STREAM_TTL_MS)
            batch.zadd("streams", {stream: now})
            batch.execute()

    def submit(self, stream: str, seq: int, document: bytes, ticket: Message, *, expected: float | None = None) -> bool:
        """Put a frame in flight and queue its ticket. A resend names the score it `expected`; False: no longer so."""
        keys = [f"frame:{stream}:{seq}", f"inflight:{stream}", ticket.queue]
        score = "" if expected is None else number(expected)
        with translated():
            return bool(self._submit(keys=keys, args=[document, seq, STREAM_TTL_MS, score, ticket.body]))

    def in_flight(self, stream: str, queue: str) -> InFlight:
        """Return everything a producer decides resends from, read at one moment."""
        with translated(), self._redis.pipeline(transaction=True) as batch:
            batch.time()
            batch.hexists(f"stream:{stream}", "maxlen")
            batch.llen(queue)
            batch.zrange(f"inflight:{stream}", 0, -1, withscores=True)
            batch.info("server")
            batch.hgetall(failures_key(stream))
            (seconds, micros), exists, length, scores, server, failures = batch.execute()
        return InFlight(
            now_ms=seconds * 1000 + micros // 1000,
            run_id=str(server["run_id"]),
            exists=bool(exists),
            queue_length=length,
            scores={int(seq): score for seq, score in scores},
            failures=parse_failures(failures),
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
            self._redis.delete(f"stream:{stream}", failures_key(stream), f"inflight:{stream}", f"painted:{stream}")
            self._redis.zrem("streams", stream)

    def trim(self, stream: str, written: bytes) -> None:
        """Drop painted entries up to and including `written`; for a file's own reader."""
        milliseconds, counter = written.decode().split("-")
        with translated():
            self._redis.xtrim(f"painted:{stream}", minid=f"{milliseconds}-{int(counter) + 1}", approximate=False)

    # -- live producer -----------------------------------------------------------------------------------------

    def return_place(self, style: str, stream: str, seq: int) -> None:
        """Give back the place of a frame that nobody will paint."""
        with translated():
            self._redis.zrem(f"live:{style}", f"{stream}:{seq}")
            self._redis.publish(f"credit:{style}", "")

    def ask_place(self, stream: str, window: LiveWindow) -> SubmitResult:
        """Ask for a place for a frame that waits; the stream served longest ago goes first. Nothing is taken yet."""
        return self._place(stream, window, b"", -1, 0, "", 0, 0)

    def submit_live(
        self, stream: str, frame: EncodedFrame, ticket: Message, *, window: LiveWindow, drops: Mapping[DropReason, int]
    ) -> SubmitResult:
        """Put a frame in flight if there is a place for it; if not, the stream asks for one.

        `drops` counts since the stream began. The same `seq` again changes nothing.
        """
        told = (pack_frame(frame), frame.seq, sum(drops.values()), drops_fact(drops), frame.width, frame.height)
        return self._place(stream, window, *told, ticket=ticket)

    def _place(
        self,
        stream: str,
        window: LiveWindow,
        document: bytes,
        seq: int,
        *told: int | str,
        ticket: Message | None = None,
    ) -> SubmitResult:
        keys = [f"frame:{stream}:{seq}", f"inflight:{stream}", f"stream:{stream}", *window_keys(window.style)]
        asked = (stream, window.places, STREAM_TTL_MS, _PLACE_MS, _ASKING_MS, f"credit:{window.style}")
        # The ticket and its queue come last: whoever only asks names none.
        queue, body = ([ticket.queue], [ticket.body]) if ticket else ([], [])
        with translated():
            found = self._submit_live(keys=[*keys, *queue], args=[document, seq, *told, *asked, *body])
        return parse_submit_result(*found)

    def give_up(self, style: str, stream: str, found: Overdue) -> bool:
        """Publish a tombstone for a live frame, unless it moved on."""
        end = ("failed", found.loss, "reason", found.reason)
        return self._finish(stream, found.seq, number(found.score), style, end)

    @contextmanager
    def credits(self, style: str, stream: str) -> Iterator[Callable[[float], bool]]:
        """Yield a call that waits up to its `timeout_s` for a place of `style`. True: it is this stream's turn."""
        calls = (b"", stream.encode())
        with self._redis.pubsub(ignore_subscribe_messages=True) as wakeups:
            with translated():
                wakeups.subscribe(f"credit:{style}")

            def wait(timeout_s: float) -> bool:
                end_s = time.monotonic() + timeout_s
                while (heard := receive(wakeups, end_s)) is not None:
                    if heard in calls:
                        return True
                return False

            yield wait

    # -- worker ------------------------------------------------------------------------------------------------

    def claim(self, stream: str, seq: int, lease_ms: int) -> Claim | None:
        """Take a frame for `lease_ms`. None: nothing to do (published, given up, or held by another)."""
        keys = [f"inflight:{stream}", f"frame:{stream}:{seq}"]
        with translated():
            found = self._claim(keys=keys, args=[seq, lease_ms, STREAM_TTL_MS])
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

    def release(self, stream: str, seq: int, worker: str, reason: str) -> None:
        """Hand back a claimed frame that `worker` failed to paint, to be sent again at once."""
        self._move_lease(stream, seq, 0, failure=(f"{seq} {worker}", reason[:500]))
        self._leases.pop((stream, seq), None)

    def publish(self, stream: str, seq: int, document: bytes, stages: Stages) -> bool:
        """Publish a painted frame. False: a duplicate, counted and dropped."""
        self._leases.pop((stream, seq), None)
        end = ("painted", "", "frame", document, "stages", pack_stages(stages))
        return self._finish(stream, seq, "", stages.style, end)

    def fail(self, stream: str, seq: int, reason: str, style: str = "") -> bool:
        """Publish a tombstone in place of a claimed frame. False: it is no longer ours."""
        held = self._leases.pop((stream, seq), None)
        end = ("failed", DropReason.FAULT, "reason", reason[:500])
        return held is not None and self._finish(stream, seq, str(held), style, end)

    def send_heartbeat(self, beat: Heartbeat) -> None:
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

    def _move_lease(self, stream: str, seq: int, lease_ms: int, failure: tuple[str, ...] = ()) -> bool:
        held = self._leases.get((stream, seq))
        if held is None:
            return False
        with translated():
            keys = [f"inflight:{stream}", *([failures_key(stream)] if failure else [])]
            deadline = self._renew(keys=keys, args=[seq, held, lease_ms, STREAM_TTL_MS, *failure])
        if deadline and (stream, seq) in self._leases:
            self._leases[stream, seq] = deadline
        return bool(deadline)

    def _finish(self, stream: str, seq: int, held: str, style: str, end: Sequence[str | bytes]) -> bool:
        """`end`: what became of the frame, why it failed, then the entry's fields and values."""
        own = (f"inflight:{stream}", f"frame:{stream}:{seq}", f"painted:{stream}", f"stream:{stream}")
        told = (seq, held, f"{stream}:{seq}", f"credit:{style}", _PLACE_MS, _ASKING_MS, STREAM_TTL_MS)
        with translated():
            return bool(self._publish(keys=[*own, *window_keys(style)], args=[*told, *end]))
