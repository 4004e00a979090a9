"""`painter window`: a live stream on the desktop, or as a camera for calls."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from commands.doctor import Verdict, check_display
from commands.options import BrokerUrl
from pipeline.errors import UsageError
from pipeline.process.config import settings
from pipeline.protocol.records import StreamRecord
from pipeline.protocol.wire import Limits
from pipeline.server.broker import open_broker
from viewer.broadcast import Broadcast
from viewer.virtual_camera import VirtualCamera, open_virtual_camera
from viewer.window import Canvas, Controls, Desktop, Player
from workers.styles import list_styles

Stream = Annotated[str, typer.Argument(metavar="STREAM", help="The stream's name, as painter live prints it.")]
Virtual = Annotated[
    bool, typer.Option("--virtual-camera", help="Feed a virtual camera, for calls, in place of a window.")
]


def window(stream: Stream, virtual_camera: Virtual = False, broker: BrokerUrl = "") -> None:
    """Show a live stream in a window; keys choose the style, compare, take a snapshot and quit."""
    _require(virtual_camera)
    conf = settings()
    with ExitStack() as stack:
        opened = stack.enter_context(open_broker(broker))
        broadcast = Broadcast(opened.transport, limits=Limits(conf.max_pixels, conf.max_frame_mb << 20))
        card = _find(broadcast, stream)
        styles = [style.name for style in list_styles()]
        controls = Controls(styles, partial(opened.transport.wish, stream), Path.cwd(), _say)
        broadcast.start()
        stack.callback(broadcast.stop)
        canvas = _canvas(stream, virtual_camera, stack.callback)
        _say(f"{stream} feeds the virtual camera; Ctrl-C ends it" if virtual_camera else controls.describe())
        Player(broadcast, card, canvas, controls).run()


def _require(virtual_camera: bool) -> None:
    if virtual_camera:
        if find_spec("pyvirtualcam") is None:
            raise UsageError("--virtual-camera needs pyvirtualcam: pip install 'power-painter[camera]'")
        return
    # OpenCV would end this process, were there no display.
    verdict, found, _ = check_display()
    if verdict is not Verdict.WORKS:
        raise UsageError(f"no window can be opened here: {found}; `painter view` shows streams in a browser")


def _find(broadcast: Broadcast, stream: str) -> StreamRecord:
    cards = {card.name: card for card in broadcast.streams()}
    if stream in cards:
        return cards[stream]
    there = f"there are {', '.join(cards)}" if cards else "there are none; `painter live` makes one"
    raise UsageError(f"no live stream {stream!r}; {there}")


def _canvas(stream: str, virtual_camera: bool, at_end: Callable[[Callable[[], None]], object]) -> Canvas:
    if not virtual_camera:
        # The wheel's Qt has no fonts and says so several times; nothing here is written in any.
        os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")
        return Desktop(stream)
    camera = VirtualCamera(open_virtual_camera)
    at_end(camera.close)
    return camera


def _say(text: str) -> None:
    print(text, flush=True)
