"""`painter live`: a camera, a file or a network stream, painted while it runs, for everybody who watches."""

import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from commands.live_display import Reading, Readout, readout
from commands.options import BrokerUrl, Brush, KeepColours, Strength, look_of
from jobs.supervisor import Supervisor
from pipeline.errors import ServerFull, ServerGone, UsageError
from pipeline.flow.server_retry import OutageTimer
from pipeline.process.config import settings
from pipeline.server.connection import without_password
from producer.capture import Capture, Reader
from producer.live import Channel, LiveFeed
from producer.live_stream import LiveStream, Sizing, free_name, require_stream_name
from producer.readers import CameraReader, FileReader, UrlReader, require_url
from producer.source import is_photo, require_readable
from workers.local_workers import LocalWorkers
from workers.styles import find_style

# How often the workers and the server we brought along are looked at.
_READ_S = 1.0

Style = Annotated[str, typer.Option("--style", "-s", help="A style; `painter styles` lists them.")]
Camera = Annotated[int | None, typer.Option(min=0, max=255, metavar="N", help="A camera of this machine. Default: 0.")]
File = Annotated[Path | None, typer.Option(help="A video file, at its own pace.")]
Loop = Annotated[bool, typer.Option("--loop", help="Begin the file again at its end.")]
Url = Annotated[str, typer.Option(help="A network stream: rtsp://… or http://…; it is opened again when it breaks.")]
Name = Annotated[str, typer.Option(metavar="STREAM", help="The stream's name for viewers. Default: after its source.")]
Steady = Annotated[
    bool,
    typer.Option(
        "--steady/--no-steady",
        help="Take out noise: where nothing moves, strokes stay; what is faint and tiny may blur.",
    ),
]
Size = Annotated[str, typer.Option(metavar="WxH", help="Paint at most this large, such as 640x480; asked of a camera.")]
TargetFps = Annotated[
    float | None, typer.Option(min=1, max=240, help="Paint smaller until the workers hold this rate, and back.")
]


def live(
    style: Style = "",
    camera: Camera = None,
    file: File = None,
    loop: Loop = False,
    url: Url = "",
    name: Name = "",
    strength: Strength = 1.0,
    keep_colours: KeepColours = False,
    brush: Brush = 1.0,
    steady: Steady = True,
    size: Size = "",
    target_fps: TargetFps = None,
    broker: BrokerUrl = "",
) -> None:
    """Paint a camera, a file or a network stream while it runs."""
    card = find_style(style)
    look = card.mixed_look(look_of(strength, keep_colours, brush))
    bounds = _size(size)
    if name:
        require_stream_name(name)
    open_reader, label, default_name = _source(camera, file, loop, url, bounds)
    with Supervisor() as parts, readout() as show:
        capture = Capture(open_reader)
        parts.callback(capture.stop)
        capture.open()
        opened = parts.open_server(broker)
        stream = free_name(opened.transport, name, default_name)
        feed = LiveFeed(Channel(stream, opened.transport, opened.pack), card.name, look)
        parts.callback(feed.close)
        painted = LiveStream(feed, opened.transport, Sizing(bounds, target_fps), steady=steady)
        parts.watch(parts.enter_context(LocalWorkers(opened, [card], None, show.say)).poll)
        painted.start()
        # Not before: a file's beginning would be dropped while the workers start.
        capture.start(painted.take)
        print(f"{stream}: {label} in {card.name}; see it with `painter window {stream}` or `painter view`", flush=True)
        parts.watch(_Watch(capture, painted, show).poll)
        parts.run(capture.over.wait)
        painted.drain()
        capture.check()


class _Watch:
    """Shows a stream's figures once a second, and waits for a server that went away as long as a job would."""

    def __init__(self, capture: Capture, stream: LiveStream, show: Readout) -> None:
        self._capture, self._stream, self._show = capture, stream, show
        self._outage = OutageTimer(settings().server_wait_s, time.monotonic)
        self._next_s = time.monotonic() + _READ_S

    def poll(self) -> None:
        """Show the figures when it is time. Raises `ServerGone` after an outage that is too long."""
        if (now_s := time.monotonic()) < self._next_s:
            return
        self._next_s = now_s + _READ_S
        try:
            self._show.show(Reading(self._stream.look_after(now_s), self._capture.trouble))
            self._outage.clear()
        except (ServerGone, ServerFull) as error:
            self._outage.record(error)


def _source(
    camera: int | None, file: Path | None, loop: bool, url: str, bounds: tuple[int, int] | None
) -> tuple[Callable[[], Reader], str, str]:
    """Return how the source is opened, what it is called, and the name its stream gets. Raises `UsageError`."""
    if sum((camera is not None, file is not None, bool(url))) > 1:
        raise UsageError("one source at a time: --camera, --file or --url; start painter live once for each")
    if loop and file is None:
        raise UsageError("--loop begins a file again; it goes with --file")
    max_pixels = settings().max_pixels
    if file is not None:
        require_readable(file)
        if file.is_dir() or is_photo(file):
            raise UsageError(f"{file}: --file takes a video")
        return partial(FileReader, file, loop=loop, max_pixels=max_pixels), file.name, file.stem
    if url:
        require_url(url)
        host = urlsplit(url).hostname or "stream"
        return partial(UrlReader, url, max_pixels=max_pixels), without_password(url), host
    number = camera or 0
    return partial(CameraReader, number, bounds), f"camera {number}", f"camera{number}"


def _size(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    found = re.fullmatch(r"(\d{2,5})[x×](\d{2,5})", text)
    if not found or min(map(int, found.groups())) < 16:
        raise UsageError(f"--size {text}: a size is width and height in pixels, such as 640x480")
    return int(found[1]), int(found[2])
