"""How one page gets its pictures: as painted where they fit its line, else coded; and never more than it draws.

One for each page, on the event loop. `Line` judges, `Coders` code, and each stream has its send window.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from viewer.broadcast import Shot
from viewer.picture_coder import CodedPicture, PageCodec
from viewer.web.coders import CoderKey, Coders, Numbered
from viewer.web.limits import PageLimits
from viewer.web.line import Line, Receipt, Way
from viewer.web.messages import CODED_PICTURE, PAINTED_PICTURE, CanDecode, inside_ms, pack_picture
from viewer.web.send_window import SendWindow, Sent

_SCALES = (Fraction(1), Fraction(3, 4), Fraction(1, 2), Fraction(3, 8), Fraction(1, 4))
# Bits a pixel below which a smaller picture looks better than a coarser one: strokes at 24 FPS, by eye.
_LEAST_BITS = {PageCodec.H264: 0.08, PageCodec.VP8: 0.08, PageCodec.MJPEG: 0.9}
# A size is left for a larger one only with this much to spare.
_HYSTERESIS = 1.3
# What a stream is held to take: 24 FPS alone, 8 FPS in a wall, or what it is painted at, if that is more. What is
# painted follows what a page draws, so a thin line would soon look wide enough.
_FULL_FPS, _WALL_FPS = 24.0, 8.0

_PING = struct.Struct("<d")
_LONGEST_TRIP_S = 60.0


@dataclass(slots=True)
class _Out:
    window: SendWindow
    # The coder's number of the last picture sent; -1: a key frame is needed.
    index: int = -1
    key: CoderKey | None = None
    size: tuple[int, int] = (0, 0)
    codec: str = ""
    picture_bytes: float = 0.0
    fps: float = 0.0


@dataclass(slots=True, eq=False)
class Delivery:
    """`codecs`: what the page decodes, best first, None for one that says nothing of itself: its pictures pass as they
    are. `width_px`: how wide it shows a stream, None: as wide as it is."""

    coders: Coders
    limits: PageLimits
    codecs: Sequence[PageCodec] | None = None
    width_px: int | None = None
    line: Line = field(default_factory=Line)
    _outs: dict[str, _Out] = field(default_factory=dict)

    def introduce(self, can: CanDecode) -> None:
        """Take in what the page decodes."""
        self.codecs = can.codecs
        if can.always:
            self.line.code_always()

    def join(self, stream: str) -> None:
        """Begin to deliver a stream."""
        self._outs[stream] = _Out(SendWindow(self.limits.unacked))

    def leave(self, stream: str) -> None:
        """Deliver it no more."""
        if out := self._outs.pop(stream, None):
            self._leave_coders(stream, out)

    def close(self) -> None:
        """Deliver nothing more."""
        for stream in tuple(self._outs):
            self.leave(stream)

    def renew(self, stream: str) -> None:
        """Begin with a key frame: the page could not decode what it has."""
        if out := self._outs.get(stream):
            out.index = -1

    def has_room(self, stream: str, now_s: float) -> bool:
        """Whether one more picture may be sent."""
        out = self._outs[stream]
        if self.codecs is None:
            return out.window.has_room(now_s)
        most = self.line.window(max(out.fps, self._least_fps), self.limits.unacked, self.limits.most_unacked)
        return out.window.has_room(now_s, most)

    def drawn(self, stream: str, seq: int, held_s: float, now_s: float) -> Sent | None:
        """Take in an acknowledgement; return what was sent, None for a picture that is not on its way."""
        out = self._outs.get(stream)
        done = out.window.drawn(seq) if out else []
        if not done:
            return None
        size_bytes = sum(sent.size_bytes for sent in done)
        self.line.acknowledged(Receipt(now_s, done[-1].at_s, held_s, size_bytes), self._needs_bps(), len(self._outs))
        return done[-1]

    async def messages(self, stream: str, shot: Shot, now_s: float, *, fps: float) -> list[bytes]:
        """Return a picture as the page gets it, noted as sent: none while a key frame is waited for, or several."""
        out = self._outs[stream]
        size_bytes = len(shot.frame.data) + len(shot.source)
        out.picture_bytes += (size_bytes - out.picture_bytes) * (0.2 if out.picture_bytes else 1.0)
        out.fps = fps
        if self.codecs is None or self.line.way is Way.PASS:
            self._leave_coders(stream, out)
            out.codec, out.size = "", (shot.frame.width, shot.frame.height)
            message = pack_picture(PAINTED_PICTURE, shot, shot.frame.data, shot.source)
            out.window.put(Sent(shot.frame.seq, now_s, shot.frame.pts, inside_ms(shot), len(message)))
            return [message]
        return await self._coded(stream, out, shot, now_s)

    @staticmethod
    def ping(now_s: float) -> bytes:
        """Return what a ping carries: the time it was sent at."""
        return _PING.pack(now_s)

    def ponged(self, data: bytes, now_s: float) -> None:
        """Take the answer to a ping of ours; those of the heartbeat are empty, and a page may make some up."""
        if len(data) == _PING.size and 0 <= (trip_s := now_s - _PING.unpack(data)[0]) < _LONGEST_TRIP_S:
            self.line.pinged(now_s, trip_s)

    def report(self) -> dict[str, object]:
        """Return what the page shows of its line."""
        line = self.line
        return {
            "way": line.way,
            "trip_ms": round(line.floor_s * 1000, 1),
            "needs_bps": round(self._needs_bps()),
            "capacity_bps": round(line.capacity_bps or 0),
            "rate_bps": round(line.rate_bps),
            "streams": {
                stream: {"codec": out.codec, "width": out.size[0], "height": out.size[1]}
                for stream, out in self._outs.items()
            },
        }

    async def _coded(self, stream: str, out: _Out, shot: Shot, now_s: float) -> list[bytes]:
        codec = PageCodec.MJPEG if shot.source or not self.codecs else self.codecs[0]
        # Compared pictures share the stream's rate.
        rate_bps = self.line.rate_bps / len(self._outs) / (2 if shot.source else 1)
        key = CoderKey(stream, codec, self._scale(out, shot, codec, rate_bps))
        if out.key != key:
            self._leave_coders(stream, out)
            out.key, out.index = key, -1
        fps = max(out.fps, self._least_fps)
        found = await self.coders.join(key, self, rate_bps, fps).after(out.index, shot)
        source = b""
        if shot.source:
            behind = CoderKey(stream, codec, key.scale, is_source=True)
            pictures = await self.coders.join(behind, self, rate_bps, fps).after(-1, shot)
            source = pictures[-1].coded.data if pictures else b""
        if self._outs.get(stream) is not out:
            # The page left the stream meanwhile, and joined its coder once too often.
            self._leave_coders(stream, out)
            return []
        return [self._message(out, one, source, now_s) for one in found]

    def _message(self, out: _Out, one: Numbered, source: bytes, now_s: float) -> bytes:
        out.index, out.codec, out.size = one.index, one.coded.codec, (one.coded.width, one.coded.height)
        frame = one.shot.frame
        # A JPEG stands alone: also a page that knows no other pictures reads it.
        kind = PAINTED_PICTURE if one.coded.codec == "jpeg" else CODED_PICTURE
        message = pack_picture(kind, one.shot, one.coded.data, source, coding=_coding(one.coded))
        out.window.put(Sent(frame.seq, now_s, frame.pts, inside_ms(one.shot), len(message)))
        return message

    def _scale(self, out: _Out, shot: Shot, codec: PageCodec, rate_bps: float) -> Fraction:
        """Return the largest size that is shown whole and that the rate is enough for."""
        frame = shot.frame
        shown = [scale for scale in _SCALES if self.width_px and frame.width * scale >= self.width_px]
        sizes = [scale for scale in _SCALES if not shown or scale <= shown[-1]]
        full_bps = frame.width * frame.height * max(out.fps, self._least_fps) * _LEAST_BITS[codec]
        now = out.key.scale if out.key and out.key.codec is codec else Fraction(0)
        for scale in sizes:
            room = _HYSTERESIS if now and scale > now else 1.0
            if rate_bps >= room * full_bps * float(scale) ** 2:
                return scale
        return sizes[-1]

    @property
    def _least_fps(self) -> float:
        return _FULL_FPS if len(self._outs) == 1 else _WALL_FPS

    def _needs_bps(self) -> float:
        return sum(out.picture_bytes * 8 * max(out.fps, self._least_fps) for out in self._outs.values())

    def _leave_coders(self, stream: str, out: _Out) -> None:
        if out.key is not None:
            self.coders.leave(out.key, self)
            self.coders.leave(CoderKey(stream, out.key.codec, out.key.scale, is_source=True), self)
            out.key, out.index = None, -1


def _coding(coded: CodedPicture) -> Mapping[str, object]:
    return {"codec": coded.codec, "key": coded.is_key, "coded_w": coded.width, "coded_h": coded.height}
