"""Everything that reads bytes from outside, one function each: what is wrong is refused with the error callers expect.

Whatever else a target raises is a find: its input goes into `corpus/<target>/`, where the tests try it for ever after.
"""

import os
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import cv2
import msgpack
import numpy as np

from pipeline.errors import PipelineError, SourceError, StyleError, UsageError, WireError
from pipeline.process.config import settings
from pipeline.protocol.codec import decode, probe
from pipeline.protocol.wire import Limits, Ticket, unpack_frame, unpack_stages
from pipeline.server.connection import open_client, without_password
from producer.photos import PhotoSource
from producer.video import VideoSource
from viewer.camera_decoder import MAX_PIXELS, CameraDecoder
from viewer.segments import PartsFolder, Segment
from viewer.web.messages import CameraChunk, CameraPicture, read_picture, read_text
from viewer.web.uploads import display_name, suffix_of
from workers.styles import find_style, load_engine

LIMITS = Limits(max_pixels=1 << 16, max_bytes=1 << 20)
CORPUS = Path(__file__).parent / "corpus"


def wire_frame(data: bytes) -> None:
    """A frame document, and the picture in it."""
    with suppress(WireError):
        decode(unpack_frame(data, LIMITS))


def wire_stages(data: bytes) -> None:
    """The stages of a painted entry."""
    with suppress(WireError):
        unpack_stages(data)


def ticket(data: bytes) -> None:
    """A Celery task's arguments, as msgpack gives them."""
    try:
        args = msgpack.unpackb(data)
    except (ValueError, msgpack.UnpackException):
        return
    with suppress(WireError):
        Ticket.from_args(args if isinstance(args, list) else [args])


def image_header(data: bytes) -> None:
    """A picture's first bytes: what they promise is what a decoder finds."""
    with suppress(WireError):
        header = probe(data)
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        assert pixels is None or pixels.shape[:2] == (header.height, header.width)


def socket_text(data: bytes) -> None:
    """A page's text message."""
    with suppress(WireError):
        read_text(data.decode("utf-8", "replace"))


def socket_picture(data: bytes) -> None:
    """A page's binary message."""
    with suppress(WireError):
        picture = read_picture(data)
        if isinstance(picture, CameraPicture):
            probe(picture.jpeg)


def camera_video(data: bytes) -> None:
    """A piece of a page's camera video, and the same again behind it."""
    decoder = CameraDecoder()
    for _ in range(2):
        with suppress(WireError):
            chunk = read_picture(data)
            if isinstance(chunk, CameraChunk):
                height, width = decoder.decode(chunk.codec, chunk.data, key=chunk.is_key).pixels.shape[:2]
                assert height * width <= MAX_PIXELS


def upload(data: bytes) -> None:
    """An upload's first bytes and name."""
    with suppress(UsageError):
        suffix_of(data)
    name = display_name(data.decode("utf-8", "replace"))
    assert name
    assert "/" not in name
    assert "\\" not in name


def manifest(data: bytes) -> None:
    """The manifest of a job that goes on."""
    with tempfile.TemporaryDirectory() as folder:
        parts = Path(folder, "out.mp4.parts")
        parts.mkdir()
        (parts / "0.mp4").write_bytes(b"12345")
        (parts / "manifest.json").write_bytes(data)
        found = PartsFolder(Path(folder, "out.mp4"), "job")
        assert found.frames >= 0
        for segment in found.segments:
            assert (found.path / segment.file).resolve().is_relative_to(found.path.resolve())
        found.add(Segment(f"{found.frames}.mp4", found.frames, 1, 0, 0, 5))
        found.release()


def settings_value(data: bytes) -> None:
    """Environment variables: `NAME=value`, a line each."""
    lines = (line.partition("=") for line in data.decode("utf-8", "replace").replace("\0", "").splitlines())
    environment = {name: value for name, _, value in lines if name}
    with patch.dict(os.environ, environment), suppress(UsageError):
        settings.cache_clear()
        settings()
    settings.cache_clear()


def broker_url(data: bytes) -> None:
    """A server's address; its password shows in no refusal."""
    url = data.decode("utf-8", "replace")
    password = re.sub("/{2,}", "/", url) + "topsecret"
    assert "topsecret" not in without_password(f"redis://user:{password}@host")
    with suppress(PipelineError):
        open_client(url).close()


def style_safetensors(data: bytes) -> None:
    """A style file of ours."""
    _style(data, ".safetensors")


def style_pth(data: bytes) -> None:
    """A checkpoint somebody downloaded."""
    _style(data, ".pth")


def style_card(data: bytes) -> None:
    """A style's description."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "tiny.pth").touch()
        Path(folder, "tiny.json").write_bytes(data)
        find_style(str(Path(folder, "tiny.pth")))


def photo(data: bytes) -> None:
    """A photo file."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "photo.png").write_bytes(data)
        with suppress(UsageError, SourceError):
            list(PhotoSource(Path(folder), ["photo.png"], max_pixels=LIMITS.max_pixels).frames())


def video(data: bytes) -> None:
    """A video file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "video.mp4")
        path.write_bytes(data)
        with suppress(UsageError, SourceError):
            for number, _ in enumerate(VideoSource(path, max_pixels=LIMITS.max_pixels).frames()):
                if number > 20:
                    break


def _style(data: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"tiny{suffix}")
        path.write_bytes(data)
        with suppress(StyleError):
            load_engine(find_style(str(path)), "cpu", 1)


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        wire_frame,
        wire_stages,
        ticket,
        image_header,
        socket_text,
        socket_picture,
        camera_video,
        upload,
        manifest,
        settings_value,
        broker_url,
        style_safetensors,
        style_pth,
        style_card,
        photo,
        video,
    )
}
