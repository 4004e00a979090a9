"""One open page: what it says, what it is sent. One task reads its socket, one writes it.

Invariant: nothing waits for a page. What it has not taken is replaced by what is newer, and when its socket ends, its
camera and its watches end with it.
"""

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import WSMessage, WSMsgType, web

from pipeline.errors import PipelineError, UsageError, WireError
from viewer.broadcast import Watch, WatchCounters
from viewer.web.app_state import AppState
from viewer.web.camera import Camera
from viewer.web.delivery import Delivery
from viewer.web.limits import Bucket
from viewer.web.messages import (
    PROTOCOL_VERSION,
    CameraOff,
    CameraOn,
    CanDecode,
    Drawn,
    Echo,
    KeyWanted,
    Said,
    WatchStreams,
    Wish,
    read_picture,
    read_text,
)
from viewer.web.stream_state import Signs, State, judge
from viewer.web.wakeup import waker

log = logging.getLogger(__name__)

# How often the line's length is asked for, at most; while nothing is sent, with the statistics.
_PING_S = 0.25
_NOTHING = WatchCounters(0, 0, 0, 0)


@dataclass(slots=True)
class _Watching:
    watch: Watch
    compare: bool
    shown_s: float | None = None
    counted: WatchCounters = _NOTHING
    state: State | None = None
    why: str = ""


class Page:
    """A page's side of the server. `run` lasts as long as the page is open."""

    def __init__(self, app_state: AppState, socket: web.WebSocketResponse) -> None:
        self._app_state, self._socket = app_state, socket
        self._broadcast, self._limits = app_state.parts.broadcast, app_state.parts.limits
        self._wake = asyncio.Event()
        self._wake_up = waker(self._wake)
        self._watching: dict[str, _Watching] = {}
        self._camera = Camera(app_state, self, self._say)
        self._delivery = Delivery(app_state.coders, self._limits)
        self._pinged_s = float("-inf")
        # Newest wins here too: a page that does not read gets the latest of each kind, not a backlog.
        self._texts: dict[str, str] = {}
        now_s = time.monotonic()
        self._messages = Bucket(self._limits.messages_per_s, now_s)
        self._acks = Bucket(self._limits.acks_per_s, now_s)
        self._pictures = Bucket(self._limits.pictures_per_s, now_s)

    async def run(self) -> None:
        """Serve the page until its socket ends."""
        self._app_state.pages.add(self)
        self._say("hello", self._hello())
        self.on_refresh()
        pump = asyncio.create_task(self._pump())
        try:
            async for message in self._socket:
                if not await self._hear(message):
                    break
        finally:
            self._app_state.pages.discard(self)
            pump.cancel()
            with suppress(asyncio.CancelledError):
                await pump
            self._leave(set(self._watching))
            self._delivery.close()
            await self._camera.close()

    def on_refresh(self) -> None:
        """Tell the page what is going on."""
        app_state = self._app_state
        for stream, watching in self._watching.items():
            before, now = watching.counted, watching.watch.counters()
            app_state.stats.note_lost(stream, late=now.late - before.late, skipped=now.skipped - before.skipped)
            watching.counted = now
        self._say("streams", {"streams": app_state.cards(self)})
        self._say("stats", app_state.report())
        self._say("line", self._delivery.report())
        self._pinged_s = float("-inf")
        self._judge()

    async def hang_up(self) -> None:
        """End the page's socket; the page will try to reconnect."""
        await self._socket.close(code=1001, message=b"the page server ends")

    # -- what the page says ------------------------------------------------------------------------------------

    async def _hear(self, message: WSMessage) -> bool:
        """Take one message in; False ends the page."""
        try:
            if message.type is WSMsgType.BINARY:
                self._take_picture(message.data)
            elif message.type is WSMsgType.PONG:
                self._delivery.ponged(message.data, time.monotonic())
            elif message.type is WSMsgType.PING:
                await self._socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                if len(message.data) > self._limits.text_bytes:
                    raise WireError(f"message of {len(message.data)} bytes; at most {self._limits.text_bytes}")
                said = read_text(message.data)
                bucket = self._acks if isinstance(said, Drawn) else self._messages
                if not bucket.take(time.monotonic()):
                    await self._socket.close(code=1008, message=b"too many messages a second")
                    return False
                await self._do(said)
        except PipelineError as error:
            self._say("error", {"message": str(error)})
        return True

    async def _do(self, said: Said) -> None:
        match said:
            case Drawn():
                self._note_drawn(said)
            case WatchStreams():
                self._watch(said)
            case CameraOn():
                await self._set_camera(said)
            case CameraOff():
                await self._close_camera()
            case Wish():
                await self._wish(said)
            case CanDecode():
                self._delivery.introduce(said)
            case Echo():
                self._say("echo", {"at_ms": said.at_ms})
            case KeyWanted():
                self._delivery.renew(said.stream)

    def _take_picture(self, data: bytes) -> None:
        if not self._pictures.take(time.monotonic()):
            raise WireError(f"more than {self._limits.pictures_per_s:.0f} pictures a second; the rest is dropped")
        self._camera.offer(read_picture(data))

    def _note_drawn(self, drawn: Drawn) -> None:
        now_s = time.monotonic()
        sent = self._delivery.drawn(drawn.stream, drawn.seq, drawn.held_ms / 1000, now_s)
        if sent is None:
            return
        self._wake.set()
        durations = {"return": (now_s - sent.at_s) * 1000}
        arrived_s = self._camera.arrived_s(drawn.stream, sent.pts)
        if arrived_s is not None and drawn.delay_ms is not None:
            durations["delay"] = drawn.delay_ms
            durations["capture"] = drawn.delay_ms - (now_s - arrived_s) * 1000
            durations["wait"] = (sent.at_s - arrived_s) * 1000 - sent.inside_ms
        self._app_state.stats.note_drawn(drawn.stream, durations)

    def _watch(self, wanted: WatchStreams) -> None:
        if len(wanted.streams) > self._limits.watched:
            raise UsageError(f"{len(wanted.streams)} streams at once; at most {self._limits.watched}")
        allowed = [stream for stream in wanted.streams if self._app_state.may_watch(stream, self)]
        self._leave(self._watching.keys() - set(allowed))
        self._delivery.width_px = wanted.width_px
        for stream in allowed:
            self._join(stream, compare=wanted.compare)
        self._judge()
        if refused := [stream for stream in wanted.streams if stream not in allowed]:
            raise UsageError(f"no stream {', '.join(refused)}")

    async def _set_camera(self, wanted: CameraOn) -> None:
        self._require_styles(*wanted.styles, *filter(None, [wanted.look.mix]))
        before = set(self._camera.streams.values())
        await self._camera.set(wanted.styles, wanted.look)
        self._leave(before - set(self._camera.streams.values()))
        self._say("camera", {"streams": self._camera.streams})
        self._judge()

    async def _close_camera(self) -> None:
        self._leave(set(self._camera.streams.values()))
        await self._camera.close()

    async def _wish(self, wish: Wish) -> None:
        self._require_styles(wish.style, *filter(None, [wish.look.mix]))
        if not self._app_state.may_watch(wish.stream, self):
            raise UsageError(f"no stream {wish.stream}")
        if not await asyncio.to_thread(self._app_state.parts.intake.wish, wish.stream, wish.style, wish.look):
            raise UsageError(f"stream {wish.stream} has ended")

    def _require_styles(self, *styles: str) -> None:
        known = self._app_state.parts.styles
        if unknown := [style for style in styles if style not in known]:
            raise UsageError(f"no style {', '.join(unknown)}; there are {', '.join(known)}")

    # -- what it is sent ---------------------------------------------------------------------------------------

    async def _pump(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._send_waiting()
        except ConnectionError:
            log.debug("a page left while it was sent something")
        except Exception:
            log.exception("a page cannot be served")
            await self._socket.close(code=1011)

    async def _send_waiting(self) -> None:
        if (now_s := time.monotonic()) - self._pinged_s >= _PING_S and self._delivery.codecs is not None:
            self._pinged_s = now_s
            await self._socket.ping(self._delivery.ping(now_s))
        while self._texts:
            await self._socket.send_str(self._texts.pop(next(iter(self._texts))))
        for stream in tuple(self._watching):
            await self._send_newest(stream)

    async def _send_newest(self, stream: str) -> None:
        watching, now_s = self._watching.get(stream), time.monotonic()
        if watching is None or not self._delivery.has_room(stream, now_s):
            return
        shot = watching.watch.take()
        if shot is None:
            return
        try:
            messages = await self._delivery.messages(stream, shot, now_s, fps=self._app_state.stats.fps_of(stream))
        except WireError as error:
            log.warning("stream=%s seq=%d is not shown: %s", stream, shot.frame.seq, error)
            return
        watching.shown_s = now_s
        self._app_state.stats.note_shown(stream, shot.stages)
        if watching.state is not State.LIVE:
            self._judge()
        for message in messages:
            await self._socket.send_bytes(message)

    def _say(self, kind: str, fields: Mapping[str, object], *, key: str = "") -> None:
        self._texts[key or kind] = json.dumps({"type": kind, **fields}, separators=(",", ":"))
        self._wake.set()

    def _hello(self) -> dict[str, object]:
        styles = [
            {"name": s.name, "painting": s.painting, "painter": s.painter, "year": s.year}
            for s in self._app_state.parts.styles.values()
        ]
        return {"version": PROTOCOL_VERSION, "styles": styles, "limits": self._limits.for_page()}

    def _judge(self) -> None:
        now_s, app_state = time.monotonic(), self._app_state
        for stream, watching in self._watching.items():
            shown_s = None if watching.shown_s is None else now_s - watching.shown_s
            style = self._style_of(stream)
            signs = Signs(app_state.is_connected, app_state.painters(style), app_state.are_older(style), shown_s)
            state = judge(signs)
            if state is State.STALLED and self._camera.is_silent(stream, now_s):
                continue
            why = app_state.why_nobody_paints(style) if state in (State.NO_WORKER, State.OLD_WORKERS) else ""
            if (state, why) != (watching.state, watching.why):
                watching.state, watching.why = state, why
                said = {"state": state, "style": style, "stream": stream, "why": why}
                self._say("state", said, key=f"state {stream}")

    # -- its streams -------------------------------------------------------------------------------------------

    def _join(self, stream: str, *, compare: bool) -> None:
        watching = self._watching.get(stream)
        if watching is None:
            watch = self._broadcast.watch(stream, self._wake_up)
            watching = self._watching[stream] = _Watching(watch, compare=False)
            self._delivery.join(stream)
        if watching.compare is not compare:
            watching.compare = compare
            self._broadcast.compare(stream, compare)

    def _leave(self, streams: Set[str]) -> None:
        for stream in streams & self._watching.keys():
            watching = self._watching.pop(stream)
            watching.watch.close()
            self._delivery.leave(stream)
            if watching.compare:
                self._broadcast.compare(stream, False)

    def _style_of(self, stream: str) -> str:
        mine = next((style for style, own in self._camera.streams.items() if own == stream), None)
        return mine or next((card.style for card in self._app_state.stats.now.streams if card.name == stream), "")
