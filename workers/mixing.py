"""Mixes of two styles: one network whose weights lie between theirs (Wang 2019, arXiv 1811.10515).

It costs nothing a frame, and works since all our styles descend from one network. A worker paints its own style and
mixes of it with any other it has: each is built off the painting thread, and a few are kept.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from pipeline.protocol.frame import EncodedFrame
from pipeline.protocol.wire import Ticket
from workers.painter import Painter, Painting

log = logging.getLogger(__name__)

# Mixes kept: a slider passes through nine, and whoever compares goes back to the last ones. 1 MB and a compiled graph
# for each size each.
_KEPT = 4

_Key = tuple[str, int]


class MixingPainter:
    """Paints a style, and mixes of it with others. `load` builds the painter of a mix, of a style's name and a share;
    it raises `StyleError` for one that cannot be."""

    def __init__(self, own: Painter, load: Callable[[str, float], Painter]) -> None:
        self._own, self._load = own, load
        self._ready: OrderedDict[_Key, Painter] = OrderedDict()
        self._building: dict[_Key, Future[Painter]] = {}
        self._last: Painter = own
        self._lock = threading.Lock()
        self._builder = ThreadPoolExecutor(1, thread_name_prefix="mix")

    def paint(self, frame: EncodedFrame, ticket: Ticket, progress: Callable[[], None]) -> Painting:
        """Paint `frame`. A live one waits for no mix to be built: it is painted as the ones before it were."""
        return self._painter(frame, ticket).paint(frame, ticket, progress)

    def _painter(self, frame: EncodedFrame, ticket: Ticket) -> Painter:
        look = ticket.look
        if not look.mix:
            self._last = self._own
            return self._own
        key = (look.mix, round(10 * look.share))
        with self._lock:
            if key in self._ready:
                self._ready.move_to_end(key)
                self._last = self._ready[key]
                return self._last
            if key not in self._building:
                self._building[key] = self._builder.submit(self._build, key, frame, ticket)
            building, last = self._building[key], self._last
        if ticket.live and not building.done():
            return last
        return building.result()

    def _build(self, key: _Key, frame: EncodedFrame, ticket: Ticket) -> Painter:
        try:
            painter = self._load(key[0], key[1] / 10)
            # Graphs are compiled for a size by its first frame.
            painter.paint(frame, replace(ticket, look=replace(ticket.look, mix="", share=0.0)), lambda: None)
            with self._lock:
                self._ready[key] = painter
                while len(self._ready) > _KEPT:
                    self._ready.popitem(last=False)
            log.info("mix with %d0 %% of %s is ready", key[1], key[0])
            return painter
        finally:
            with self._lock:
                del self._building[key]
