"""The coders of all streams, each shared by every page that watches its stream in the same codec and size.

Invariant: a picture is coded once, whoever watches; a page gets every picture behind its last one, or a key frame
first. All of it runs on the event loop but for the coding itself, which has two threads.
"""

import asyncio
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction

from viewer.broadcast import Shot
from viewer.picture_coder import CodedPicture, PageCodec, PictureCoder, make_coder

# A page that is further behind than this gets a key frame: half a second at 24 FPS.
_HISTORY = 12
# Key frames that pages ask for: more often, all watchers would pay for one page's trouble.
_KEY_PAUSE_S = 0.5
# Two cores code a wall of six tiles; more threads would take the painters' cores.
_THREADS = 2
# So far back, a picture is one of a producer that was started again (as in the broadcast).
_RESTARTED_BY = 500


@dataclass(frozen=True, slots=True)
class CoderKey:
    """What is shared: pages that agree in all of this get the same bytes. `is_source`: the picture before painting."""

    stream: str
    codec: PageCodec
    scale: Fraction
    is_source: bool = False


@dataclass(frozen=True, slots=True)
class Numbered:
    """A coded picture and its place in the chain; `shot` is what was coded."""

    index: int
    shot: Shot
    coded: CodedPicture


class SharedCoder:
    """One stream in one codec and size."""

    def __init__(self, key: CoderKey, fps: float, pool: ThreadPoolExecutor) -> None:
        self._key, self._pool = key, pool
        self._coder: PictureCoder = make_coder(key.codec, key.scale, fps)
        self._lock = asyncio.Lock()
        self._history: deque[Numbered] = deque(maxlen=_HISTORY)
        self._forced_s = float("-inf")
        #: Watcher → the bits a second it may be sent; the coder keeps to the least.
        self.rates: dict[object, float] = {}
        #: Pictures coded, for the test that n watchers cost one encode.
        self.count = 0

    async def after(self, index: int, shot: Shot) -> list[Numbered]:
        """Return the coded pictures behind `index` (-1: none yet) up to `shot`, oldest first, the first decodable.

        Empty where the next picture has to be a key frame. Raises `WireError` for a picture that does not decode.
        """
        async with self._lock:
            if self._is_new(shot):
                await self._code(shot, is_key=self._needs_key(index))
            return self._behind(index)

    def _is_new(self, shot: Shot) -> bool:
        if not self._history:
            return True
        behind = self._history[-1].shot.frame.seq - shot.frame.seq
        return behind < 0 or behind > _RESTARTED_BY or (behind > 0 and shot.frame.seq == 0)

    def _needs_key(self, index: int) -> bool:
        return index != self.count - 1 and not self._behind(index)

    def _behind(self, index: int) -> list[Numbered]:
        """Return what is kept behind `index`, else from the newest key frame on; empty where a key frame is needed."""
        kept = list(self._history)
        if self._key.codec is PageCodec.MJPEG:
            return [one for one in kept[-1:] if one.index > index]
        if kept and index >= 0 and kept[0].index - 1 <= index:
            return [one for one in kept if one.index > index]
        keys = [at for at, one in enumerate(kept) if one.coded.is_key]
        return kept[keys[-1] :] if keys else []

    async def _code(self, shot: Shot, *, is_key: bool) -> None:
        now_s = time.monotonic()
        is_key = is_key and (now_s - self._forced_s > _KEY_PAUSE_S or not self._history)
        if is_key:
            self._forced_s = now_s
        data = shot.source if self._key.is_source else shot.frame.data
        rate_bps = min(self.rates.values(), default=1e6)
        loop = asyncio.get_running_loop()
        coded = await loop.run_in_executor(
            self._pool, lambda: self._coder.code(data, int(now_s * 1000), rate_bps, key=is_key)
        )
        self._history.append(Numbered(self.count, shot, coded))
        self.count += 1


class Coders:
    """Owner of the coding threads: the application, which must call `close`."""

    def __init__(self) -> None:
        #: Also what decodes the cameras' video.
        self.pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="page-coder")
        self._shared: dict[CoderKey, SharedCoder] = {}

    def join(self, key: CoderKey, watcher: object, rate_bps: float, fps: float) -> SharedCoder:
        """Return the coder of `key`, which keeps to what `watcher` may be sent."""
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = SharedCoder(key, fps, self.pool)
        shared.rates[watcher] = rate_bps
        return shared

    def leave(self, key: CoderKey, watcher: object) -> None:
        """Forget a watcher, and with the last one the coder."""
        shared = self._shared.get(key)
        if shared is not None and shared.rates.pop(watcher, None) is not None and not shared.rates:
            del self._shared[key]

    @property
    def count(self) -> int:
        """How many coders there are."""
        return len(self._shared)

    def close(self) -> None:
        """End the threads; a picture that is being coded is waited for."""
        self.pool.shutdown(wait=True, cancel_futures=True)
