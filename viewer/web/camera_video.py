"""A page's camera video on its way to the painters: decoded in order, off the event loop, and never a backlog.

Invariant: at most `_WAITING` chunks wait; with more, or a chunk that does not decode, all is dropped up to the next key
frame, which the page is asked for. A stream that keeps failing ends as video; that page sends JPEGs then.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor

from pipeline.errors import WireError
from viewer.camera_decoder import CameraDecoder, DecodedPicture
from viewer.web.limits import Bucket
from viewer.web.messages import CameraChunk

_WAITING = 8
_ASK_AGAIN_S = 0.5
# Chunks that fail within this time before video is refused for good.
_FAILURES, _FAILING_S = 10, 10.0
# Megapixels a second of one page: 1080p at 30 FPS.
_MEGAPIXELS_PER_S = 64.0


class CameraVideo:
    """One page's. `on_picture` gets each picture and its capture time, `on_key` is called for a key frame, `on_refusal`
    once with the reason; all on the event loop."""

    def __init__(
        self,
        pool: Executor,
        on_picture: Callable[[DecodedPicture, int], None],
        on_key: Callable[[], None],
        on_refusal: Callable[[str], None],
    ) -> None:
        self._pool = pool
        self._on_picture, self._on_key, self._on_refusal = on_picture, on_key, on_refusal
        self._decoder = CameraDecoder()
        self._waiting: deque[CameraChunk] = deque()
        self._task: asyncio.Task[None] | None = None
        self._needs_key = True
        self._asked_s = float("-inf")
        self._failed_s: deque[float] = deque(maxlen=_FAILURES)
        self._pixels = Bucket(_MEGAPIXELS_PER_S, time.monotonic())
        self.is_refused = False

    def offer(self, chunk: CameraChunk) -> None:
        """Take the next chunk; never blocks."""
        if self.is_refused:
            return
        if chunk.is_key:
            self._needs_key = False
        if self._needs_key or len(self._waiting) >= _WAITING:
            self._lose()
            return
        self._waiting.append(chunk)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._decode())

    async def close(self) -> None:
        """Decode nothing more."""
        self.is_refused = True
        self._waiting.clear()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _decode(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            chunk = self._waiting.popleft()
            try:
                picture = await loop.run_in_executor(self._pool, self._decoded, chunk)
            except WireError as error:
                self._fail(str(error))
                continue
            megapixels = picture.pixels.shape[0] * picture.pixels.shape[1] / 1e6
            if not self._pixels.take(time.monotonic(), megapixels):
                self._fail(f"more than {_MEGAPIXELS_PER_S:.0f} megapixels a second")
            elif not self.is_refused:
                self._on_picture(picture, chunk.captured_ms)

    def _decoded(self, chunk: CameraChunk) -> DecodedPicture:
        return self._decoder.decode(chunk.codec, chunk.data, key=chunk.is_key)

    def _lose(self) -> None:
        self._waiting.clear()
        self._needs_key = True
        now_s = time.monotonic()
        if now_s - self._asked_s >= _ASK_AGAIN_S:
            self._asked_s = now_s
            self._on_key()

    def _fail(self, why: str) -> None:
        now_s = time.monotonic()
        self._failed_s.append(now_s)
        if len(self._failed_s) == _FAILURES and now_s - self._failed_s[0] < _FAILING_S:
            self.is_refused = True
            self._waiting.clear()
            self._on_refusal(why)
            return
        self._lose()
