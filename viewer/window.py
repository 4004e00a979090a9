"""A live stream in a window: always the newest picture, and keys that change what is shown.

Invariant: the loop waits for a picture or a key, never for the server; a picture that comes while another is drawn
replaces the one that waits.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ServerFull, ServerGone, WireError
from pipeline.flow.metrics import Rate
from pipeline.protocol.codec import decode, encode_pixels
from pipeline.protocol.frame import Codec, Look
from pipeline.protocol.records import StreamRecord
from viewer.broadcast import Broadcast, Shot

Pixels = NDArray[np.uint8]

# At most one refresh of a usual screen between two looks at the keys.
_KEY_S = 0.015
_LOOK_S = 1.0
# A producer whose server came back empty is away for a moment; one that ended stays away.
_OVER_S = 3.0
_DIVIDER = (255, 255, 255)


class Canvas(Protocol):
    """Where pictures go. One thread."""

    @property
    def is_open(self) -> bool:
        """Whether the user still has it open."""
        ...

    def show(self, pixels: Pixels) -> None:
        """Show H×W×3 uint8 BGR pixels. Raises `SinkError` when that cannot be done."""
        ...

    def entitle(self, title: str) -> None:
        """Say what is shown."""
        ...

    def key(self) -> str:
        """Return the key pressed since the last call, "" for none; "\\x1b" is Escape. Does not wait."""
        ...


class Desktop:
    """A window through OpenCV. Only where a display works: without one, OpenCV ends the process."""

    def __init__(self, name: str) -> None:
        self._name = name
        cv2.namedWindow(name, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        self._is_sized = False

    @property
    def is_open(self) -> bool:
        return cv2.getWindowProperty(self._name, cv2.WND_PROP_VISIBLE) >= 1

    def show(self, pixels: Pixels) -> None:
        if not self._is_sized:
            self._is_sized = True
            cv2.resizeWindow(self._name, pixels.shape[1], pixels.shape[0])
        cv2.imshow(self._name, pixels)

    def entitle(self, title: str) -> None:
        cv2.setWindowTitle(self._name, title)

    def key(self) -> str:
        # pollKey takes a key, but draws nothing; waitKey does both.
        code = cv2.waitKey(1)
        return chr(code & 0xFF) if code >= 0 else ""


@dataclass(frozen=True, slots=True)
class Controls:
    """What keys may do: `styles` to choose from, `wish(style, look)`, where snapshots go, and where things are said."""

    styles: Sequence[str]
    wish: Callable[[str, Look], bool]
    folder: Path
    say: Callable[[str], None]

    def describe(self) -> str:
        """Return the keys in one line."""
        numbered = " ".join(f"{number}={style}" for number, style in enumerate(self.styles[:9], 1))
        return f"keys: {numbered} n=next style c=compare s=snapshot q=quit"


class Player:
    """Shows one stream until the user quits or it ends."""

    def __init__(
        self,
        broadcast: Broadcast,
        card: StreamRecord,
        canvas: Canvas,
        controls: Controls,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broadcast, self._canvas, self._controls, self._clock = broadcast, canvas, controls, clock
        self._card, self._stream = card, card.name
        self._come = threading.Event()
        self._rate = Rate()
        self._painting: Pixels | None = None
        self._seen_s = self._shown_s = clock()
        self._look_s = float("-inf")
        self._is_comparing = False

    def run(self) -> None:
        """Show the stream; return when the user quits or it is over. Raises `SinkError`."""
        watch = self._broadcast.watch(self._stream, self._come.set)
        try:
            while self._canvas.is_open and self._press(self._canvas.key()) and self._look_around():
                if self._come.wait(_KEY_S):
                    self._come.clear()
                    if (shot := watch.take()) is not None:
                        self._draw(shot)
        finally:
            watch.close()
            if self._is_comparing:
                self._broadcast.compare(self._stream, on=False)

    def _draw(self, shot: Shot) -> None:
        try:
            self._painting = _decoded(shot, shot.frame.data)
            source = _decoded(shot, shot.source) if shot.source and self._is_comparing else None
        except WireError as error:
            self._controls.say(str(error))
            return
        self._canvas.show(self._painting if source is None else beside(source, self._painting))
        self._shown_s = self._clock()
        self._rate.tick(self._shown_s)

    def _press(self, key: str) -> bool:
        """Do what a key says. False: quit."""
        styles = self._controls.styles
        if key in ("q", "\x1b"):
            return False
        if key == "c":
            self._is_comparing = not self._is_comparing
            self._broadcast.compare(self._stream, on=self._is_comparing)
        elif key == "s":
            self._snapshot()
        elif key == "n" and styles:
            now = styles.index(self._card.style) if self._card.style in styles else -1
            self._wish(styles[(now + 1) % len(styles)])
        elif key in "123456789" and key and int(key) <= len(styles):
            self._wish(styles[int(key) - 1])
        return True

    def _wish(self, style: str) -> None:
        try:
            self._controls.wish(style, self._card.look)
        except (ServerGone, ServerFull) as error:
            self._controls.say(f"{style} not chosen: {error}")
        self._look_s = float("-inf")

    def _snapshot(self) -> None:
        if self._painting is None:
            return
        stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S-%f")[:-3]
        path = self._controls.folder / f"{self._stream}-{stamp}.png"
        try:
            path.write_bytes(encode_pixels(self._painting, Codec.PNG))
        except OSError as error:
            self._controls.say(f"{path} cannot be written: {error.strerror or error}")
        else:
            self._controls.say(f"snapshot: {path}")

    def _look_around(self) -> bool:
        """Once a second, see how the stream is and say so. False: it is over."""
        now_s = self._clock()
        if now_s - self._look_s < _LOOK_S:
            return True
        self._look_s = now_s
        try:
            found = next((card for card in self._broadcast.streams() if card.name == self._stream), None)
        except (ServerGone, ServerFull):
            self._seen_s = now_s
            self._canvas.entitle(f"{self._stream} – server gone")
            return True
        if found is not None:
            self._card, self._seen_s = found, now_s
        self._canvas.entitle(f"{self._stream} – {self._card.style} – {self._state(now_s)}")
        if now_s - self._seen_s < _OVER_S:
            return True
        self._controls.say(f"{self._stream} has ended")
        return False

    def _state(self, now_s: float) -> str:
        if now_s - self._shown_s > _OVER_S:
            return "waiting for pictures"
        return f"{self._rate.per_s(now_s):.1f} FPS{', compared' if self._is_comparing else ''}"


def beside(source: Pixels, painting: Pixels) -> Pixels:
    """Return the source's left half beside the painting's right half, a line between them. Both H×W×3."""
    height, width = painting.shape[:2]
    if source.shape != painting.shape:
        source = np.asarray(cv2.resize(source, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    middle = width // 2
    joined = painting.copy()
    joined[:, :middle] = source[:, :middle]
    joined[:, max(0, middle - 1) : middle + 1] = _DIVIDER
    return joined


def _decoded(shot: Shot, data: bytes) -> Pixels:
    return decode(replace(shot.frame, data=data))
