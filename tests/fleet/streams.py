"""What flows through a test's fleet: a camera that never stops, and a folder of photos as a file job."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.protocol.codec import encode
from pipeline.protocol.frame import Codec, Frame, Look
from pipeline.server.app import create_app, message_of
from pipeline.server.transport import Transport
from producer.live import Channel, LiveFeed


@contextmanager
def camera(url: str, style: str, fps: float, stream: str = "desk") -> Iterator[LiveFeed]:
    """A live stream of small pictures, `fps` a second, until the end of the block."""
    transport = Transport.connect(url)
    feed = LiveFeed(Channel(stream, transport, partial(message_of, create_app(url))), style, Look())
    pixels = np.full((48, 64, 3), 90, np.uint8)
    ended = threading.Event()

    def film() -> None:
        due_s = time.monotonic()
        while not ended.wait(max(0.0, due_s - time.monotonic())):
            feed.offer(encode(Frame(0, int(due_s * 1000), pixels), Codec.MJPEG))
            due_s += 1 / fps

    filming = threading.Thread(target=film)
    feed.start()
    filming.start()
    try:
        yield feed
    finally:
        ended.set()
        filming.join()
        feed.close()
        transport.close()


def photos(folder: Path, count: int) -> Path:
    """Make `count` small photos, each of its own colour, none dark (dark places stay dark); return their folder."""
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (16, 16), (number % 256, 200, number // 256)).save(folder / f"{number:04}.png")
    return folder
