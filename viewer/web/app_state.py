"""What all pages and programs share: the parts handed in, who is here, and one look at the server a second.

Owner of the refresh task: `viewer/server.py`. All of it runs on the server's event loop.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aiohttp import web

from fleet.stats import Snapshot
from pipeline.errors import ServerFull, ServerGone
from pipeline.flow.worker_health import older_workers, why_nobody_paints
from pipeline.protocol.records import StreamRecord
from viewer.broadcast import Broadcast
from viewer.ports import Atelier, Intake
from viewer.web.coders import Coders
from viewer.web.limits import PageLimits
from viewer.web.security import Access
from viewer.web.stats import StreamStats

log = logging.getLogger(__name__)

REFRESH_S = 1.0
# A link works for half a day, and is the same all hour long so that a page need not change what it shows.
_LINK_HOURS = 13


@dataclass(frozen=True, slots=True)
class StyleCard:
    """A style as the page shows it. `picture`: a JPEG of its painting."""

    name: str
    painting: str = ""
    painter: str = ""
    year: str = ""
    picture: Path | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """What the page server is made of; `commands` puts it together. `static`: the page. `uploads`: ours alone."""

    access: Access
    broadcast: Broadcast
    intake: Intake
    atelier: Atelier
    styles: Mapping[str, StyleCard]
    static: Path
    uploads: Path
    limits: PageLimits = field(default_factory=PageLimits)


class PageConnection(Protocol):
    """A page that is open."""

    def on_refresh(self) -> None:
        """Hear that the stats has been brought up to date."""
        ...

    async def hang_up(self) -> None:
        """Hear that the server ends."""
        ...


class AppState:
    """Who is here. Counts are what the limits bound."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.stats = StreamStats()
        self.coders = Coders()
        self.pages: set[PageConnection] = set()
        #: Streams of page cameras: seen by the page they belong to, and by whoever it gives a signed link.
        self.owners: dict[str, PageConnection] = {}
        self.sessions = 0
        self.programs = 0
        self.uploads = 0
        self.is_closing = False

    @property
    def is_connected(self) -> bool:
        """Whether the frame server answers."""
        return self.stats.is_connected and self.parts.broadcast.is_connected

    def cards(self, guest: PageConnection | None = None) -> list[dict[str, object]]:
        """Return the live streams `guest` may see, as JSON has them; None: those of no page's camera."""
        now = self.stats.now.streams
        return [self._card(card) for card in now if self.owners.get(card.name) in (None, guest)]

    def may_watch(self, stream: str, guest: PageConnection | None = None) -> bool:
        """Whether there is such a stream, and it is not another page's camera."""
        owner = self.owners.get(stream)
        return owner is guest if owner else any(card.name == stream for card in self.stats.now.streams)

    def painters(self, style: str) -> int:
        """Return how many threads paint `style`."""
        return sum(beat.threads for beat in self.stats.now.workers if beat.style == style)

    def are_older(self, style: str) -> bool:
        """Whether there are workers of `style` that leave its tickets to newer ones."""
        return bool(older_workers(style, self.stats.now.workers))

    def why_nobody_paints(self, style: str) -> str:
        """Return why pictures in `style` wait, as every command says it; "" while somebody paints them."""
        return why_nobody_paints(style, self.stats.now.workers)

    def report(self) -> dict[str, object]:
        """Return `/api/stats`."""
        here = {"pages": len(self.pages), "sessions": self.sessions, "programs": self.programs}
        return {**self.stats.report(), "connected": self.is_connected, **here}

    async def refresh(self) -> None:
        """Look at the server and tell the pages."""
        self.stats.update(await asyncio.to_thread(self._take_snapshot))
        for page in tuple(self.pages):
            page.on_refresh()

    async def keep_fresh(self) -> None:
        """Take one a second, for ever."""
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self.refresh()
            except Exception:
                log.exception("the refresh goes on after a fault")

    def _take_snapshot(self) -> Snapshot | None:
        broadcast = self.parts.broadcast
        try:
            return Snapshot(round(time.monotonic() * 1000), broadcast.streams(), broadcast.workers())
        except (ServerGone, ServerFull) as error:
            log.info("the server does not answer: %s", error)
            return None

    def _card(self, card: StreamRecord) -> dict[str, object]:
        return {
            "name": card.name, "style": card.style, "mode": card.mode, "width": card.width, "height": card.height,
            "strength": card.look.strength, "keep_colours": card.look.keep_colours, "brush": card.look.brush,
            "mix": card.look.mix, "share": card.look.share,
            "captured": card.captured, "dropped": card.dropped, "painted": card.painted, "failed": card.failed,
            "in_flight": card.in_flight,
            "age_s": round(card.age_s, 1), "fps": self.stats.fps_of(card.name), "links": self._links(card.name),
        }  # fmt: skip

    def _links(self, stream: str) -> dict[str, str]:
        expires_unix = (int(time.time()) // 3600 + _LINK_HOURS) * 3600
        access = self.parts.access
        return {kind: access.sign(f"/streams/{stream}.{kind}", expires_unix) for kind in ("mjpg", "jpg")}


APP_STATE = web.AppKey("app_state", AppState)
