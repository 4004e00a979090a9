"""A live stream on its way to be painted: only its newest frame waits, and only for a place; nothing is sent twice.

Frames dropped in favour of newer ones are counted before numbering, so `seq` has no holes by design. What was sent and
neither painted nor failed in time is given up with a tombstone, and its place comes back. One thread sends, one tends
what was sent: a frame and its place are one question, so that where the server is 100 ms away ten a second go out.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from pipeline.errors import ServerFull, ServerGone
from pipeline.flow.resend import overdue
from pipeline.flow.window import LiveWindow, live_places
from pipeline.process.shutdown import joined, within
from pipeline.protocol.frame import EncodedFrame, Look, Mode
from pipeline.protocol.queues import queue_of
from pipeline.protocol.records import DropReason, SubmitOutcome, SubmitResult, look_facts, parse_drops
from pipeline.protocol.wire import Message, Ticket, ticket_version
from pipeline.server.transport import Transport

log = logging.getLogger(__name__)

#: A picture, or how to encode it: most pictures of a camera give way to newer ones and are never encoded.
Offered = EncodedFrame | Callable[[], EncodedFrame]

# Entries a live viewer may be behind before it loses them; 16 are more than half a second at 24 FPS.
_MAXLEN = 16
# The backstop behind the wake-ups.
_POLL_S = 0.1
# How often leases are looked at, and a sign of life is given.
_TEND_S = 0.2
_BEAT_S = 1.0
# At the end: for a call under way, and for taking the stream from the server. A server that takes longer stands still.
_CLOSE_S = 2.0


@dataclass(frozen=True, slots=True)
class Channel:
    """What a live stream is, and how a ticket becomes the message that is queued together with its frame."""

    stream: str
    transport: Transport
    pack: Callable[[str, Ticket], Message]


class LiveFeed:
    """The producer of one live stream. Owner: whoever calls `start`; it must call `close`. `offer` never blocks."""

    def __init__(
        self, channel: Channel, style: str, look: Look, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._channel, self._transport, self._clock = channel, channel.transport, clock
        self._style, self._look = style, look
        self._changed = threading.Condition()
        self._newest: Offered | None = None
        # Since the stream began, other producers' included: told as a sum, so that telling it twice does no harm.
        self._drops: Counter[DropReason] = Counter()
        self._seq = 0
        self._has_joined = False
        # The style of a frame whose answer was lost: it counts as dropped, but may be in flight under the next number.
        self._unsure = ""
        # In which style each frame in flight is painted: its place is in that style's window, whatever is chosen since.
        self._painting: dict[int, str] = {}
        self._places = 1
        # As far as is known: the first frames come before anybody looked.
        self._has_painters = True
        # Of the last questions.
        self._round_trips_s: deque[float] = deque(maxlen=10)
        self._known = False
        self._beat_s = float("-inf")
        self._stopped = False
        parts = {"live": self._run, "tend": self._watch}
        self._threads = [
            threading.Thread(target=part, name=f"{name}-{channel.stream}", daemon=True) for name, part in parts.items()
        ]

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self._channel.stream

    @property
    def style(self) -> str:
        """The style of the next frame."""
        return self._style

    @property
    def look(self) -> Look:
        """The look of the next frame."""
        return self._look

    def start(self) -> None:
        """Start sending."""
        for thread in self._threads:
            thread.start()

    def offer(self, frame: Offered) -> None:
        """Take the newest frame (its `seq` is given here); one that still waits is dropped and counted.

        A function is called, on the feed's own thread, once the frame has its place.
        """
        with self._changed:
            if self._newest is not None:
                self._drop()
            self._newest = frame
            self._changed.notify_all()

    def choose(self, style: str, look: Look) -> None:
        """Paint in `style` from the next frame on."""
        with self._changed:
            self._style, self._look = style, look
        if self._known:
            try:
                self._transport.wish(self.stream, style, look)
            except (ServerGone, ServerFull) as error:
                log.info("stream=%s wish not written: %s", self.stream, error)

    def close(self) -> None:
        """Stop, and take the stream from the server, if it answers. Idempotent."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if not joined(self._threads, _CLOSE_S) or not within(_CLOSE_S, self._take_down):
            log.info("stream=%s left to expire: the server does not answer", self.stream)

    def _take_down(self) -> None:
        try:
            waiting = self._transport.in_flight(self.stream, queue_of(self._style, live=True)).scores
            for seq in waiting:
                self._transport.return_place(self._painting.get(seq, self._style), self.stream, seq)
            self._transport.forget_stream(self.stream, list(waiting))
        except (ServerGone, ServerFull) as error:
            log.info("stream=%s left to expire: %s", self.stream, error)

    def _run(self) -> None:
        while not self._stopped:
            style = self._style
            try:
                self._serve(style)
            except (ServerGone, ServerFull) as error:
                # Said once: the next attempts fail for the same reason.
                is_news = self._known and not self._stopped
                log.log(logging.WARNING if is_news else logging.DEBUG, "stream=%s waits: %s", self.stream, error)
                self._known = False
                self._pause(_POLL_S)
            except Exception:
                # One picture that does not encode must not end a camera.
                log.exception("stream=%s goes on after a fault", self.stream)
                self._pause(_POLL_S)

    def _serve(self, style: str) -> None:
        """Send frames in `style` until another is chosen."""
        with self._transport.credits(style, self.stream) as called:
            is_free = True
            while not self._stopped and self._style == style:
                self._open()
                if not self._wait_for_frame(_TEND_S):
                    continue
                window = LiveWindow(style, self._places)
                # Calls are read at every frame, or they would pile up behind a stream that never waits for one. A frame
                # goes with its question only where a place is likely: otherwise it would be encoded and sent in vain.
                placing = self._send(window) if called(0.0) or is_free else self._ask(window)
                is_free = placing.is_free or (placing.fate is SubmitOutcome.WAIT and called(_POLL_S))

    def _wait_for_frame(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._newest is not None or self._stopped, timeout_s) and (
                self._newest is not None
            )

    def _ask(self, window: LiveWindow) -> SubmitResult:
        asked_s = self._clock()
        placing = self._transport.ask_place(self.stream, window)
        self._round_trips_s.append(self._clock() - asked_s)
        return self._known_by(placing)

    def _send(self, window: LiveWindow) -> SubmitResult:
        with self._changed:
            offered, self._newest = self._newest, None
            look, drops = self._look, dict(self._drops)
        assert offered is not None, "only this thread takes frames"
        seq = self._seq
        try:
            frame = offered() if callable(offered) else offered
            # All styles at once, one of them the one that is mixed in: that stream is the style itself.
            asked = replace(look, mix="", share=0.0) if look.mix == window.style else look
            ticket = Ticket(self.stream, seq, 1, live=True, look=asked, version=ticket_version(frame, asked))
            message = self._channel.pack(window.style, ticket)
            sent_s = self._clock()
            placing = self._transport.submit_live(
                self.stream, replace(frame, seq=seq), message, window=window, drops=drops
            )
            self._round_trips_s.append(self._clock() - sent_s)
        except Exception as error:
            with self._changed:
                self._drops[DropReason.SERVER if isinstance(error, ServerGone | ServerFull) else DropReason.FAULT] += 1
            if isinstance(error, ServerGone):
                self._unsure = window.style
            raise
        if self._went(seq, placing, window.style):
            self._take_wish(window.style, look, placing)
        else:
            self._put_back(frame)
        return self._known_by(placing)

    def _went(self, seq: int, placing: SubmitResult, style: str) -> bool:
        """Note what the server has. Return whether it is the frame of this question; not so, it has to wait."""
        if placing.fate not in (SubmitOutcome.SENT, SubmitOutcome.HAD):
            return False
        # This question again after a lost answer, unless an earlier frame of the same number was given up for dropped,
        # or the number is one of another producer's, who had the stream's name before.
        went = placing.fate is SubmitOutcome.SENT or (not self._unsure and placing.seq == seq)
        if not went and self._unsure:
            with self._changed:
                self._drops[DropReason.SERVER] -= 1
        self._painting[placing.seq] = style if went else self._unsure or style
        self._seq, self._unsure = placing.seq + 1, ""
        return went

    def _put_back(self, frame: EncodedFrame) -> None:
        """Let a frame wait again, unless there is a newer one."""
        with self._changed:
            if self._newest is None:
                self._newest = frame
            else:
                self._drop()

    def _drop(self) -> None:
        """Count a frame that waited when a newer one came. The caller holds the lock."""
        waited_for = DropReason.CAPACITY if self._has_painters else DropReason.NO_WORKER
        self._drops[waited_for if self._known else DropReason.SERVER] += 1

    def _known_by(self, placing: SubmitResult) -> SubmitResult:
        """Return `placing`. Raises `ServerGone` when the server does not know the stream any more."""
        if placing.fate is SubmitOutcome.UNKNOWN:
            raise ServerGone("the server forgot the stream")
        return placing

    def _take_wish(self, style: str, look: Look, wished: SubmitResult) -> None:
        """A viewer elsewhere may have wished another style or look; what was chosen here meanwhile goes first."""
        with self._changed:
            if (self._style, self._look) == (style, look):
                self._style, self._look = wished.style, wished.look

    def _open(self) -> None:
        if not self._known:
            self._join()
            facts = {"mode": str(Mode.LIVE), "style": self._style, "maxlen": _MAXLEN, **look_facts(self._look)}
            self._transport.open_stream(self.stream, facts)
            self._known = True

    def _join(self) -> None:
        """Go on where another producer of this name ended: counters only rise, and its numbers are not used again."""
        if self._has_joined:
            return
        left = self._transport.stream_facts(self.stream)
        with self._changed:
            self._drops += Counter(parse_drops(left.get("drops", "")))
        self._seq = int(left.get("seq", -1)) + 1
        self._has_joined = True

    def _watch(self) -> None:
        while not self._stopped:
            try:
                if self._known:
                    self._tend()
            except (ServerGone, ServerFull) as error:
                log.info("stream=%s not looked after: %s", self.stream, error)
            except Exception:
                log.exception("stream=%s goes on after a fault", self.stream)
            self._pause(_TEND_S)

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, seconds)

    def _tend(self) -> None:
        now_s = self._clock()
        if now_s - self._beat_s >= _BEAT_S:
            self._beat_s = now_s
            self._transport.touch_stream(self.stream)
            painters = [beat for beat in self._transport.workers() if beat.style == self._style]
            self._has_painters = bool(painters)
            # The shortest: a machine that stood still for a moment is no long line.
            self._places = live_places(painters, min(self._round_trips_s, default=0.0))
        # Of frames sent from here on nothing is known yet.
        before = dict(self._painting)
        flight = self._transport.in_flight(self.stream, queue_of(self._style, live=True))
        self._known = flight.exists
        for found in overdue(flight.scores, flight.now_ms):
            self._transport.give_up(before.get(found.seq, self._style), self.stream, found)
        for seq in before.keys() - flight.scores.keys():
            self._painting.pop(seq, None)
