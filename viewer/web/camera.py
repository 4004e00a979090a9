"""One page's camera: the session its pictures go to, and the streams that belong to no other page.

Invariant: what `set` took (a place, streams, threads of the session) `close` gives back, whatever happened between.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence

from pipeline.errors import UsageError, WireError
from pipeline.protocol.frame import Look
from viewer.camera_decoder import DecodedPicture
from viewer.ports import Session
from viewer.web.app_state import AppState, PageConnection
from viewer.web.camera_video import CameraVideo
from viewer.web.messages import CameraChunk, CameraPicture
from viewer.web.stats import Arrivals

# A page whose camera is silent this long has paused it, and says so itself.
_SILENT_S = 1.0

#: Tells the page something: kind and fields.
Say = Callable[[str, Mapping[str, object]], None]


class Camera:
    """The camera of `page`; runs on the event loop, with the session's slow calls in threads."""

    def __init__(self, app_state: AppState, page: PageConnection, say: Say) -> None:
        self._app_state, self._page, self._say = app_state, page, say
        self._video = self._new_video()
        self._session: Session | None = None
        self._arrivals = Arrivals()
        self._offered_s = float("-inf")
        #: Style → stream.
        self.streams: Mapping[str, str] = {}

    async def set(self, styles: Sequence[str], look: Look) -> None:
        """Open the session, or change it from the next picture on. Raises `UsageError` when all places are taken."""
        if not styles:
            raise UsageError("the camera needs a style")
        if self._session is None:
            self._session = await self._open(styles, look)
        else:
            await asyncio.to_thread(self._session.choose, styles, look)
        self._own(dict(self._session.streams))

    async def close(self) -> None:
        """Give everything back; idempotent."""
        session, self._session = self._session, None
        video, self._video = self._video, self._new_video()
        await video.close()
        if session is not None:
            self._app_state.sessions -= 1
            self._own({})
            # Shielded: a page that ends while the server does still frees its stream.
            await asyncio.shield(asyncio.to_thread(session.close))

    def offer(self, picture: CameraPicture | CameraChunk) -> None:
        """Take a picture. Raises `WireError`."""
        if self._session is None:
            raise WireError("a picture came before the camera message")
        if isinstance(picture, CameraChunk):
            self._video.offer(picture)
        else:
            self._session.offer(picture.jpeg, picture.captured_ms)
        self._offered_s = time.monotonic()
        self._arrivals.note(picture.captured_ms, self._offered_s)
        # How the page learns what its way up bears.
        self._say("took", {"captured_ms": picture.captured_ms})

    def _paint(self, picture: DecodedPicture, captured_ms: int) -> None:
        if self._session is not None:
            height, width = picture.pixels.shape[:2]
            self._session.offer_later(picture.jpeg, (width, height), captured_ms)

    def owns(self, stream: str) -> bool:
        """Whether `stream` is this camera's."""
        return self._app_state.owners.get(stream) is self._page

    def is_silent(self, stream: str, now_s: float) -> bool:
        """Whether `stream` is this camera's and gets no pictures from it."""
        return self.owns(stream) and now_s - self._offered_s > _SILENT_S

    def arrived_s(self, stream: str, captured_ms: int) -> float | None:
        """Return when the picture of that time came, None where it is not this camera's or forgotten."""
        return self._arrivals.of(captured_ms) if self.owns(stream) else None

    def _new_video(self) -> CameraVideo:
        say = self._say
        return CameraVideo(
            self._app_state.coders.pool,
            self._paint,
            lambda: say("camera_key", {}),
            lambda why: say("camera_jpeg", {"why": why}),
        )

    async def _open(self, styles: Sequence[str], look: Look) -> Session:
        app_state = self._app_state
        if app_state.sessions >= app_state.parts.limits.sessions:
            raise UsageError(f"all {app_state.parts.limits.sessions} camera places are taken; try again later")
        app_state.sessions += 1
        try:
            return await asyncio.to_thread(app_state.parts.intake.open, f"cam-{secrets.token_hex(4)}", styles, look)
        except BaseException:
            app_state.sessions -= 1
            raise

    def _own(self, streams: Mapping[str, str]) -> None:
        owners = self._app_state.owners
        for stream in set(self.streams.values()) - set(streams.values()):
            del owners[stream]
        owners.update(dict.fromkeys(streams.values(), self._page))
        self.streams = streams
