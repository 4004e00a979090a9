"""Live sources: a thread that reads pictures as they come and hands each on at once, to whoever keeps only the newest.

Invariant: nothing queues here. Whoever is slower than the source loses pictures, never time. A source that breaks is
opened again after a growing, jittered delay; no read waits for ever.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError, SourceError, UsageError

log = logging.getLogger(__name__)

# The first try comes soon: most breaks are short. The longest is what a rebooting network camera needs anyway.
_FIRST_DELAY_S = 0.5
_LAST_DELAY_S = 30.0
# A source that held this long is a good one again: its next break is tried soon.
_GOOD_AFTER_S = 10.0
# Later than this behind its own pace (a suspended machine, a slow disk), a file goes on from here instead of racing.
_LATE_S = 0.5
# A read ends by its own deadline; whoever stops does not wait for that.
_JOIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Picture:
    """`pixels`: H×W×3 uint8 BGR. `media_s`: when it is due on the source's own clock; None: now, as it came."""

    pixels: NDArray[np.uint8]
    media_s: float | None = None


#: `take(pixels, captured_ms)` gets every picture on the capture's thread and must not block. The time is the monotonic
#: clock's: it never goes back, and all processes of a machine share it.
Take = Callable[[NDArray[np.uint8], int], None]


class Reader(Protocol):
    """An open source. `read` and `close` are called from one thread."""

    def read(self) -> Picture | None:
        """Return the next picture, None at the end. Blocks some seconds at most. Raises `SourceError`."""
        ...

    def close(self) -> None:
        """Let go of the device, file or connection."""
        ...


class Pacer:
    """When the pictures of a file are due: at the first one's time plus what the file's own clock says."""

    def __init__(self) -> None:
        self._anchor_s: float | None = None

    def wait_s(self, media_s: float, now_s: float) -> float:
        """Return how long to wait before handing on a picture due at `media_s`."""
        if self._anchor_s is None or now_s - (self._anchor_s + media_s) > _LATE_S:
            self._anchor_s = now_s - media_s
        return max(0.0, self._anchor_s + media_s - now_s)


def delays(random_unit: Callable[[], float] = random.random) -> Iterator[float]:
    """Yield the seconds to wait before each try: doubling up to half a minute, each spread by a quarter.

    The spread keeps a hundred cameras from coming back to a restarted server all at once.
    """
    delay_s = _FIRST_DELAY_S
    while True:
        yield delay_s * (0.75 + 0.5 * random_unit())
        delay_s = min(2 * delay_s, _LAST_DELAY_S)


class Capture:
    """Reads one source on a thread of its own. Owner: whoever calls `open` and `start`; it must call `stop`."""

    def __init__(
        self,
        open_reader: Callable[[], Reader],
        *,
        clock: Callable[[], float] = time.monotonic,
        wait_before: Callable[[], Iterator[float]] = delays,
    ) -> None:
        self._open, self._clock, self._delays = open_reader, clock, wait_before
        self._reader: Reader | None = None
        self._take: Take = lambda pixels, captured_ms: None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        #: Set when the source is over, for whatever reason.
        self.over = threading.Event()
        #: Why there are no pictures at the moment, in one line; "" while they come.
        self.trouble = ""
        self._failure: PipelineError | None = None

    def open(self) -> None:
        """Open the source. Raises `UsageError` in one line."""
        self._reader = self._open()

    def start(self, take: Take) -> None:
        """Start reading an opened source."""
        self._take = take
        self._thread.start()

    def stop(self) -> None:
        """Stop reading and let go of the source; idempotent."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)
        elif self._reader is not None:
            self._close()

    def check(self) -> None:
        """Raise what ended the source, if it was an error."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            self._read_all()
        except PipelineError as error:
            self._failure = error
        except Exception as error:
            log.exception("the source ends")
            self._failure = SourceError(f"the source ended: {type(error).__name__}: {error}")
        finally:
            self._close()
            self.over.set()

    def _read_all(self) -> None:
        """Read to the end, opening the source again when it breaks."""
        waits = self._delays()
        while not self._stopped.is_set():
            opened_s = self._clock()
            try:
                self._read_on()
                return
            except SourceError as error:
                if self._clock() - opened_s > _GOOD_AFTER_S:
                    waits = self._delays()
                self._reopen(waits, error)

    def _read_on(self) -> None:
        pacer = Pacer()
        reader = self._reader
        while reader is not None and not self._stopped.is_set():
            picture = reader.read()
            if picture is None:
                return
            if picture.media_s is not None and self._stopped.wait(pacer.wait_s(picture.media_s, self._clock())):
                return
            self.trouble = ""
            self._take(picture.pixels, round(self._clock() * 1000))

    def _reopen(self, waits: Iterator[float], error: PipelineError) -> None:
        self._close()
        while self._reader is None and not self._stopped.is_set():
            wait_s = next(waits)
            self.trouble = f"{error}; trying again in {wait_s:.1f} s"
            log.info("%s", self.trouble)
            if self._stopped.wait(wait_s):
                return
            try:
                self._reader = self._open()
            except (SourceError, UsageError) as again:
                error = again

    def _close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
