"""A file's frames on their way to be painted: take a credit, send frame and ticket, send again until it is written.

Holds its own copy of each frame until its painting has arrived, so it can give every frame again, even to a server that
came back empty. One thread submits, one watches, one reports arrivals and writes; all are the caller's. Where the
server is far away, threads of ours wait for its answers, so that a round trip is no bound on the rate.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass

from pipeline.errors import FrameFailed, PipelineError, ServerFull, ServerGone
from pipeline.flow.resend import HANDED_BACK, Cause, LastClaim, Resend, due
from pipeline.flow.server_retry import OutageTimer
from pipeline.flow.window import Window
from pipeline.protocol.frame import EncodedFrame, Look
from pipeline.protocol.queues import queue_of
from pipeline.protocol.records import InFlight
from pipeline.protocol.wire import Message, Stages, Ticket, pack_frame, ticket_version
from pipeline.server.transport import Transport
from producer.frame_copy import FrameCopy

log = logging.getLogger(__name__)

# Between two tries while the server is away or full. Publishing frees memory within a frame's time.
_RETRY_S = 0.05
# A server this far away is sent several frames at once, with as many more credits out for those that travel: one at a
# time ends at 50 frames/s at 20 ms. A near one answers in 0.2–1 ms, not worth another thread's while.
_FAR_S = 0.005
AT_ONCE = 8
# One that takes this long for a frame is not far but full: eight at once would each take eight times as long, and with
# a socket's 5 s be cut off for ever. Frames then go one after the other.
_FULL_S = 0.5
# What a window that is wider for far or slow workers may hold more, in frames as they are sent: 500 of 60 KB.
_WIDER_BYTES = 32 << 20
# A sign of life well within the 60 s after which the server forgets a stream.
_BEAT_S = 5.0


@dataclass(frozen=True, slots=True)
class Order:
    """What a stream asks for."""

    stream: str
    style: str
    look: Look
    attempts: int
    facts: Mapping[str, str | int | float]


class Submission:
    """The producer of one file stream. `pack` makes a ticket's message, which is queued together with the frame."""

    def __init__(
        self,
        transport: Transport,
        pack: Callable[[Ticket], Message],
        order: Order,
        *,
        window: Window,
        wait_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport, self._pack, self._order = transport, pack, order
        self._window, self._wait_s, self._clock = window, wait_s, clock
        self._outage = OutageTimer(wait_s, clock)
        self.stream = order.stream
        self._copies: dict[int, FrameCopy] = {}
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._last_claim = LastClaim()
        self._run_id = ""
        self._beat_s = float("-inf")
        self._queue_busy_s = clock()
        self._absent_s: dict[int, float] = {}
        self._hands = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="submit")
        self._round_trip_s = 0.0
        self._alone = threading.Lock()
        # What the painted stream was announced with room for, and what it will be next.
        self._near_size = self._next_size = window.size
        self._largest_bytes = 1
        self._lost: BaseException | None = None
        #: A server that takes this long for a frame is a far one; infinity for this machine's own.
        self.far_s = _FAR_S
        #: The workers that serve the style, by name: whether one is left that has not failed a frame.
        self.painters: frozenset[str] = frozenset()
        self.resubmitted = 0
        self.on_restart: Callable[[], None] = lambda: None
        self.on_full: Callable[[], None] = lambda: None
        self.is_caught_up: Callable[[], bool] = lambda: True

    @property
    def in_flight(self) -> int:
        """Frames submitted and not yet written."""
        return self._window.in_flight

    def submit(self, frame: EncodedFrame) -> bool:
        """Send one frame, waiting for a credit and for a server that is away. False when stopped meanwhile.

        Raises `ServerGone` after an outage of `wait_s`; for a frame that was still on its way then, `watch` does.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stopped.is_set() or not self._window.is_full)
            if self._stopped.is_set():
                return False
            self._window.take(frame.seq)
            document = pack_frame(frame)
            self._copies[frame.seq] = FrameCopy(document, ticket_version(frame, self._order.look), self._clock())
            self._largest_bytes = max(self._largest_bytes, len(document))
        if not self.far_s <= self._round_trip_s < _FULL_S:
            return self._give(frame.seq, None)
        self._widen()
        self._hands.submit(self._give_aside, frame.seq)
        return True

    def arrived(self, seq: int, stages: Stages) -> float | None:
        """Note that the painting of `seq` is here. Return seconds since it was first sent, None for a duplicate."""
        with self._changed:
            if seq > self._last_claim.seq:
                self._last_claim = LastClaim(seq, stages.claimed_ms)
            copy = self._copies.get(seq)
            if copy is None or copy.arrived:
                return None
            copy.arrived, copy.document = True, b""
            return self._clock() - copy.sent_s

    def written(self, seq: int) -> None:
        """Return the credit of a frame its sink has written."""
        with self._changed:
            self._copies.pop(seq, None)
            self._window.give(seq)
            self._changed.notify_all()

    def resize(self, size: int, wider: int = 0) -> None:
        """Change the window, as painters join or leave; `wider`: for what far or slow ones hold, within a bound."""
        size += min(wider, _WIDER_BYTES // self._largest_bytes)
        if size != self._next_size:
            self._next_size, self._near_size = size, min(size, self._near_size)
            self._beat_s = float("-inf")
        self._widen()

    def watch(self) -> None:
        """Look at the server once: sign of life, and whatever has to be sent again.

        Raises `FrameFailed` for a frame whose workers died too often, `ServerGone` after an outage of `wait_s`.
        """
        if self._lost is not None:
            raise self._lost
        try:
            self._sign_of_life()
            flight = self._transport.in_flight(self._order.stream, queue_of(self._order.style))
            if flight.run_id != self._run_id or not flight.exists:
                self._start_over(flight)
            else:
                self._resend_due(flight)
        except (ServerGone, ServerFull) as error:
            self._outage.record(error)
        else:
            self._outage.clear()

    def stop(self) -> None:
        """Wake and end every waiting call; idempotent."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Stop, and take what is left of the stream from the server, if it still answers."""
        self.stop()
        self._hands.shutdown()
        try:
            self._transport.forget_stream(self._order.stream, list(self._copies))
        except PipelineError as error:
            log.info("stream=%s left to expire: %s", self._order.stream, error)

    def _sign_of_life(self) -> None:
        if self._clock() - self._beat_s < _BEAT_S:
            return
        # At most `window` frames are unwritten; as many again are room for paintings that come twice after an outage.
        # First the room, then the window: a painting that is trimmed unread has to be painted again.
        size = self._next_size
        maxlen = 2 * (max(size, self.in_flight) + AT_ONCE)
        self._transport.open_stream(self._order.stream, {**self._order.facts, "maxlen": maxlen})
        self._beat_s = self._clock()
        self._near_size = size
        self._widen()

    def _widen(self) -> None:
        """Set the window; where the server is far away it is wider by what travels."""
        with self._changed:
            self._window.size = self._near_size + (AT_ONCE if self._round_trip_s >= self.far_s else 0)
            self._changed.notify_all()

    def _start_over(self, flight: InFlight) -> None:
        """The server is another one than before, or forgot the stream: give it everything again."""
        if self._run_id or not flight.exists:
            count = len(self._copies)
            log.warning("stream=%s the server came back empty; sending %d frames again", self._order.stream, count)
            self._beat_s = float("-inf")
            self._sign_of_life()
            self.on_restart()
            for seq in sorted(self._missing()):
                self.resubmitted += 1
                self._give(seq, None)
        # Only now: a server that went away again meanwhile must be given everything at the next look.
        self._run_id = flight.run_id

    def _resend_due(self, flight: InFlight) -> None:
        now_s = self._clock()
        if flight.queue_length:
            self._queue_busy_s = now_s
        missing = self._missing()
        # While a slow sink keeps the reader busy, paintings wait unread on the server; they are not lost.
        absent = [seq for seq in missing if seq not in flight.scores] if self.is_caught_up() else []
        self._absent_s = {seq: self._absent_s.get(seq, now_s) for seq in absent}
        found = due(
            flight.scores,
            flight.now_ms,
            self._last_claim,
            queue_empty_ms=int((now_s - self._queue_busy_s) * 1000),
            absent_ms={seq: int((now_s - since_s) * 1000) for seq, since_s in self._absent_s.items()},
        )
        for resend in found:
            if resend.seq in missing:
                self._absent_s.pop(resend.seq, None)
                self._resend(resend, flight.failures.get(resend.seq, {}))

    def _resend(self, resend: Resend, failures: Mapping[str, str]) -> None:
        copy = self._copies.get(resend.seq)
        if copy is None:
            return
        if resend.cause is Cause.LEASE:
            copy.note_failure(failures, handed_back=resend.score == HANDED_BACK)
            if copy.is_hopeless(self._order.attempts, self.painters):
                reason = next(iter(failures.values()), f"{copy.failures} workers in turn died over it")
                raise FrameFailed(self._order.stream, resend.seq, reason)
        log.info("stream=%s seq=%d sent again: %s", self._order.stream, resend.seq, resend.cause)
        self.resubmitted += 1
        self._give(resend.seq, resend.score)

    def _missing(self) -> set[int]:
        with self._changed:
            return {seq for seq, copy in self._copies.items() if not copy.arrived}

    def _give(self, seq: int, expected: float | None) -> bool:
        """Send frame and ticket; while the server is away or full, try again. False when stopped meanwhile."""
        outage, order = OutageTimer(self._wait_s, self._clock), self._order
        while not self._stopped.is_set():
            copy = self._copies.get(seq)
            # Taken before asking: an arrival at this moment empties the copy, and nobody could paint no bytes.
            document = copy.document if copy else b""
            if copy is None or copy.arrived:
                return True
            try:
                ticket = self._pack(Ticket(order.stream, seq, copy.failures + 1, look=order.look, version=copy.version))
                with self._alone if self._round_trip_s >= _FULL_S else nullcontext():
                    # Whoever waited here for the line would otherwise each hold up a stop for its own time on it.
                    if self._stopped.is_set():
                        return False
                    self._submit(seq, document, ticket, expected)
                outage.clear()
                return True
            except (ServerGone, ServerFull) as error:
                self._wait_out(outage, error)
                # A call that was cut off may have been carried out: what we expected may be gone, the frame is not.
                expected = None
        return False

    def _submit(self, seq: int, document: bytes, ticket: Message, expected: float | None) -> None:
        began_s = self._clock()
        try:
            self._transport.submit(self._order.stream, seq, document, ticket, expected=expected)
        finally:
            took_s = self._clock() - began_s
            # The least of late: a busy moment does not make a near server a far one. A full line is known at once.
            least_s = min(took_s, 2 * self._round_trip_s or _FAR_S)
            self._round_trip_s = took_s if took_s >= _FULL_S else least_s

    def _give_aside(self, seq: int) -> None:
        try:
            self._give(seq, None)
        except BaseException as error:
            self._lost = error

    def _wait_out(self, outage: OutageTimer, error: PipelineError) -> None:
        outage.record(error)
        if isinstance(error, ServerFull):
            self.on_full()
        self._stopped.wait(_RETRY_S)
