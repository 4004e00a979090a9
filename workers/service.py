"""What a worker does with a ticket: claim, check, paint, publish; and what becomes of a frame when one of them fails.

Invariant: whatever happens to one frame, the next one is served. A frame neither published nor failed here is the
producer's to send again, so a lost server costs a repeat, never a frame.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import psutil

from pipeline.errors import ServerFull, ServerGone, VersionTooNew, WireError
from pipeline.flow.metrics import CounterRate, Histogram
from pipeline.protocol.frame import Look
from pipeline.protocol.records import Claim, Heartbeat
from pipeline.protocol.wire import WIRE_VERSION, Limits, Stages, Ticket, pack_frame, unpack_frame
from workers.engine import is_device_lost
from workers.exit_codes import EXIT_BROKEN
from workers.health import SUSPECT_AFTER, Health
from workers.leases import Leases
from workers.painter import Painter, Painting, self_test
from workers.periodic import Periodic

log = logging.getLogger(__name__)

# Three are missed before a worker counts as gone (6 s).
BEAT_S = 2.0
# Time over which a worker's own FPS is taken: six beats.
_SPAN_S = 10.0
# How often the device's memory is read. By a painting thread after a frame: a beat that asked a lost device would fail
# with it, and the worker would vanish from the list of those that are there.
_MEMORY_S = 2.0


class Server(Protocol):
    """The part of the transport that a worker needs."""

    def claim(self, stream: str, seq: int, lease_ms: int) -> Claim | None: ...
    def is_unclaimed(self, stream: str, seq: int) -> bool: ...
    def renew(self, stream: str, seq: int, lease_ms: int) -> bool: ...
    def publish(self, stream: str, seq: int, document: bytes, stages: Stages) -> bool: ...
    def release(self, stream: str, seq: int, worker: str, reason: str) -> None: ...
    def fail(self, stream: str, seq: int, reason: str, style: str = "") -> bool: ...
    def send_heartbeat(self, beat: Heartbeat) -> None: ...
    def forget_worker(self, name: str) -> None: ...
    def keep_open(self, connections: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Who paints. `name`: Celery's node name; `threads`: how many frames it holds at once."""

    name: str
    style: str
    device: str
    threads: int
    host: str


class PaintService:
    """One worker process. Its owner calls `start` before the first ticket and `stop` after the last."""

    def __init__(
        self,
        server: Server,
        painter: Painter,
        leases: Leases,
        identity: Identity,
        *,
        limits: Limits,
        end_process: Callable[[int], None] = os._exit,
    ) -> None:
        self._server = server
        self._painter = painter
        self._leases = leases
        self._identity = identity
        self._limits = limits
        self._end_process = end_process
        self._health = Health()
        self._note = ""
        self._painted = Meter()
        self._work_s = Meter()
        self._paint_s = Histogram()
        #: Why a look cannot be painted here, "" where it can; the composition root knows the styles.
        self.refusal: Callable[[Look], str] = lambda look: ""
        #: Memory in use on the whole device; the composition root knows how to ask.
        self.device_bytes: Callable[[], int] = lambda: 0
        self._known_bytes, self._asked_s = 0, float("-inf")
        self._beats = Periodic("beats", BEAT_S, self._beat)

    def start(self) -> None:
        """Start renewing leases and giving signs of life."""
        with suppress(ServerGone):
            # The painting threads, the leases' and the beats'.
            self._server.keep_open(self._identity.threads + 2)
        self._ask_memory()
        self._leases.start()
        self._beats.start()

    def stop(self) -> None:
        """Stop both and sign off."""
        self._beats.stop()
        self._leases.stop()
        try:
            self._server.forget_worker(self._identity.name)
        except (ServerGone, ServerFull) as error:
            log.info("could not sign off: %s", error)

    def handle(self, args: Sequence[Any]) -> bool:
        """Serve one ticket to its end, and return whether it is to be acknowledged. Raises nothing.

        False: a later version's, or of a mix with a style that is not here; its frame waits. Give it back and stay out
        of the queues until `come_back`.
        """
        try:
            ticket = Ticket.from_args(list(args))
            if (why := self.refusal(ticket.look)) and self._leave_to_others(args, why, "workers that have it"):
                return False
            claim = self._server.claim(ticket.stream, ticket.seq, self._leases.lease_ms)
            if claim is not None:
                self._serve(ticket, claim)
        except VersionTooNew as error:
            if self._leave_to_others(args, str(error), "newer workers; install a newer power-painter here"):
                return False
            log.warning("ticket refused: %s", error)
        except WireError as error:
            log.warning("ticket refused: %s", error)
        except (ServerGone, ServerFull) as error:
            # The producer sends the frame again once its lease runs out or the server is back.
            log.warning("%s left to be sent again: %s", _what(args), error)
        return True

    def come_back(self) -> None:
        """Note that tickets are taken again."""
        self._note = ""
        self._beat()

    def _leave_to_others(self, args: Sequence[Any], why: str, whom: str) -> bool:
        """Say that we leave, unless the ticket is not worth it: anybody can write a number, frames are a producer's."""
        try:
            if not self._server.is_unclaimed(args[1], args[2]):
                return False
        except (ServerGone, ServerFull):
            return False
        if not self._note:
            log.warning("%s: it leaves its queues to %s", why, whom)
        self._note = why
        self._beat()
        return True

    def _serve(self, ticket: Ticket, claim: Claim) -> None:
        with self._leases.hold(ticket.stream, ticket.seq) as hold:
            try:
                document, painting = self._paint(ticket, claim, hold.progress)
            except WireError as error:
                # Its bytes will not be better next time.
                self._give_up(ticket, str(error))
            except Exception as error:
                log.exception("stream=%s seq=%d attempt=%d painting failed", ticket.stream, ticket.seq, ticket.attempt)
                self._try_again(ticket, f"{type(error).__name__}: {error}")
                self._judge(error)
            else:
                self._health.painted()
                self._publish(ticket, document, self._stages(claim, painting))
                self._ask_memory()

    def _paint(self, ticket: Ticket, claim: Claim, progress: Callable[[], None]) -> tuple[bytes, Painting]:
        frame = unpack_frame(claim.document, self._limits)
        if ticket.look.strength == 0:
            return claim.document, Painting(frame)
        painting = self._painter.paint(frame, ticket, progress)
        return (claim.document if painting.frame is frame else pack_frame(painting.frame)), painting

    def _publish(self, ticket: Ticket, document: bytes, stages: Stages) -> None:
        self._paint_s.add(stages.paint_ms / 1000)
        self._work_s.count((stages.decode_ms + stages.paint_ms + stages.encode_ms) / 1000)
        if self._server.publish(ticket.stream, ticket.seq, document, stages):
            self._painted.count()
        else:
            log.debug("stream=%s seq=%d was a duplicate", ticket.stream, ticket.seq)

    def _try_again(self, ticket: Ticket, reason: str) -> None:
        """Hand a file's frame back. Its producer decides how often: it knows how many workers tried it."""
        if ticket.live:
            self._give_up(ticket, reason)
        else:
            self._server.release(ticket.stream, ticket.seq, self._identity.name, reason)

    def _judge(self, error: Exception) -> None:
        """End this process if it, and not the frame, is at fault; else leave the next frame to others for a moment."""
        is_suspect = self._health.failed()
        if is_device_lost(error):
            self._end(f"its device is lost ({error})")
        # Want of memory is the device's and may pass; a new process would have no more of it.
        elif is_suspect and not isinstance(error, MemoryError) and (why := self_test(self._painter)):
            self._end(f"{SUSPECT_AFTER} frames in a row failed, and so does its own test picture ({why})")
        else:
            time.sleep(self._health.pause_s)

    def _end(self, why: str) -> None:
        log.critical("worker=%s ends: %s", self._identity.name, why)
        self._beats.stop()
        with suppress(ServerGone, ServerFull):
            self._server.forget_worker(self._identity.name)
        self._end_process(EXIT_BROKEN)

    def _ask_memory(self) -> None:
        if time.monotonic() - self._asked_s < _MEMORY_S:
            return
        self._asked_s = time.monotonic()
        try:
            self._known_bytes = self.device_bytes()
        except Exception as error:
            # Whether the device is lost, the next painting tells.
            log.warning("the device does not tell its memory: %s", error)

    def _give_up(self, ticket: Ticket, reason: str) -> None:
        log.warning("stream=%s seq=%d attempt=%d given up: %s", ticket.stream, ticket.seq, ticket.attempt, reason)
        self._server.fail(ticket.stream, ticket.seq, reason, self._identity.style)

    def _stages(self, claim: Claim, painting: Painting) -> Stages:
        return Stages(
            claim.sent_ms,
            claim.claimed_ms,
            painting.decode_ms,
            painting.paint_ms,
            painting.encode_ms,
            self._identity.style,
            self._identity.name,
        )

    def _beat(self) -> None:
        who = self._identity
        now_s = time.monotonic()
        painted, fps = self._painted.mark(now_s)
        busy = min(1.0, self._work_s.mark(now_s)[1] / who.threads)
        paint_s, paint_counts = self._paint_s.told()
        beat = Heartbeat(
            who.name,
            # Nobody is to count on it while it stays out of its queues.
            "" if self._note else who.style,
            who.device,
            who.threads,
            fps=fps,
            painted=int(painted),
            rss_bytes=psutil.Process().memory_info().rss,
            pid=os.getpid(),
            host=who.host,
            busy=busy,
            note=self._note,
            away_from=who.style if self._note else "",
            paint_s=paint_s,
            paint_counts=paint_counts,
            device_bytes=self._known_bytes,
            wire_version=WIRE_VERSION,
        )
        try:
            self._server.send_heartbeat(beat)
        except (ServerGone, ServerFull) as error:
            log.info("no sign of life given: %s", error)


class Meter:
    """A sum (of frames, of seconds at work), and its growth a second over the last marks. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sum = 0.0
        self._growth = CounterRate(_SPAN_S)

    def count(self, amount: float = 1) -> None:
        """Add to the sum: one painted frame, unless told otherwise."""
        with self._lock:
            self._sum += amount

    def mark(self, now_s: float) -> tuple[float, float]:
        """Set a mark; return the sum, and its growth a second since the oldest mark kept."""
        with self._lock:
            self._growth.add(now_s, self._sum)
            return self._sum, self._growth.per_s()


def _what(args: Sequence[Any]) -> str:
    return f"stream={args[1]} seq={args[2]}" if len(args) > 2 else "ticket"
