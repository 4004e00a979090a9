"""What crosses between processes: what is ours is read back as it was, everything else is refused before decoding."""

import cv2
import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import WireError
from pipeline.protocol.codec import decode, encode, probe
from pipeline.protocol.frame import BRUSH_AS_SENT, Codec, EncodedFrame, Frame, Look
from pipeline.protocol.wire import (
    WIRE_VERSION,
    Limits,
    Stages,
    Ticket,
    pack_frame,
    pack_stages,
    ticket_version,
    unpack_frame,
    unpack_stages,
)

LIMITS = Limits(max_pixels=64 * 64, max_bytes=100_000)
PIXELS = np.random.default_rng(1).integers(0, 256, (30, 41, 3), dtype=np.uint8)


def document(**changes: object) -> bytes:
    """A good frame document with some fields changed; None removes one."""
    fields = msgpack.unpackb(pack_frame(encode(Frame(3, -7, PIXELS, "a/b.jpg"), Codec.MJPEG)))
    fields.update(changes)
    return bytes(msgpack.packb({key: value for key, value in fields.items() if value is not None}))


@pytest.mark.parametrize("codec", list(Codec))
def test_a_frame_comes_back_as_it_was(codec: Codec) -> None:
    sent = encode(Frame(3, -7, PIXELS, "a/b.jpg"), codec)
    assert unpack_frame(pack_frame(sent), LIMITS) == sent


def test_whoever_shows_pictures_takes_no_raw_pixels() -> None:
    raw = pack_frame(encode(Frame(0, 0, PIXELS), Codec.RAW))
    assert unpack_frame(raw, LIMITS).codec is Codec.RAW
    with pytest.raises(WireError, match="raw"):
        unpack_frame(raw, LIMITS, raw=False)


@pytest.mark.parametrize("codec", [Codec.PNG, Codec.RAW])
def test_photos_and_raw_pixels_cross_without_loss(codec: Codec) -> None:
    assert np.array_equal(decode(encode(Frame(0, 0, PIXELS), codec)), PIXELS)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"v": WIRE_VERSION + 1}, id="newer version"),
        pytest.param({"v": None}, id="no version"),
        pytest.param({"seq": -1}, id="negative seq"),
        pytest.param({"seq": True}, id="boolean for a number"),
        pytest.param({"pts": "0"}, id="text for a number"),
        pytest.param({"w": 65535, "h": 65535}, id="more pixels than allowed"),
        pytest.param({"w": 40}, id="another size than the picture's"),
        pytest.param({"codec": "png"}, id="another codec than the picture's"),
        pytest.param({"codec": "tiff"}, id="unknown codec"),
        pytest.param({"codec": "rawvideo"}, id="a picture said to be raw"),
        pytest.param({"codec": "rawvideo", "data": bytes(30 * 41 * 3 - 1)}, id="raw and a byte short"),
        pytest.param({"data": bytes(30 * 41 * 3)}, id="raw said to be a picture"),
        pytest.param({"v": True}, id="boolean for a version"),
        pytest.param({"data": b"GIF89a"}, id="not a picture we take"),
        pytest.param({"data": b"\xff\xd8\xff\xe0"}, id="a picture cut off in its header"),
        pytest.param({"data": b"x" * 100_001}, id="more bytes than allowed"),
    ],
)
def test_what_is_not_a_frame_of_ours_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(WireError):
        unpack_frame(document(**changes), LIMITS)


def test_a_bomb_is_refused_by_its_header_alone() -> None:
    small = cv2.imencode(".png", PIXELS)[1].tobytes()
    bomb = small[:16] + (65535).to_bytes(4) + (65535).to_bytes(4) + small[24:]
    assert probe(bomb).width == 65535
    with pytest.raises(WireError, match="outside"):
        unpack_frame(document(data=bomb, codec="png", w=65535, h=65535), LIMITS)


def test_a_picture_of_nothing_but_empty_chunks_is_refused() -> None:
    small = cv2.imencode(".png", PIXELS)[1].tobytes()
    with pytest.raises(WireError, match="not whole"):
        probe(small[:33] + b"\0\0\0\0teXt\0\0\0\0" * 70_000 + small[33:])


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused_with_one_error(data: bytes) -> None:
    for read in (lambda: unpack_frame(data, LIMITS), lambda: unpack_stages(data), lambda: probe(data)):
        with pytest.raises(WireError):
            read()


def test_a_ticket_comes_back_as_it_was() -> None:
    ticket = Ticket(
        "clip",
        4,
        2,
        live=True,
        look=Look(0.5, keep_colours=True, brush=2.0, mix="starry", share=0.4),
        version=WIRE_VERSION,
    )
    assert Ticket.from_args(ticket.to_args()) == ticket


def test_only_what_older_workers_cannot_read_has_a_version_of_its_own() -> None:
    versions = {codec: msgpack.unpackb(pack_frame(encode(Frame(0, 0, PIXELS), codec)))["v"] for codec in Codec}
    assert versions == {Codec.MJPEG: 1, Codec.PNG: 1, Codec.RAW: 2}
    assert Ticket("clip", 4, 1).to_args()[0] == 1


@pytest.mark.parametrize(
    ("size", "brush", "version"),
    [
        pytest.param((640, 480), 1.0, 1, id="painted at its own size"),
        pytest.param((320, 240), 1.0, 1, id="smaller"),
        pytest.param((1280, 720), 1.0, 3, id="painted smaller by default"),
        pytest.param((480, 1920), 1.0, 1, id="a tall one"),
        pytest.param((640, 480), 2.0, 3, id="with larger strokes"),
        pytest.param((640, 480), 0.5, 3, id="with smaller ones"),
        pytest.param((640, 480), BRUSH_AS_SENT, 3, id="brought to its size by its producer"),
    ],
)
def test_a_frame_painted_at_another_size_is_not_for_older_workers(
    size: tuple[int, int], brush: float, version: int
) -> None:
    look = Look(brush=brush)
    assert ticket_version(EncodedFrame(0, 0, Codec.MJPEG, *size, b""), look) == version
    ticket = Ticket("clip", 0, 1, look=look, version=version)
    # An older release's frames are painted at the size it sent them, by whichever worker.
    read = Ticket.from_args(ticket.to_args()).look.brush
    assert read == (brush if version == 3 else BRUSH_AS_SENT)


def test_a_mix_is_not_for_older_workers() -> None:
    frame = EncodedFrame(0, 0, Codec.MJPEG, 64, 48, b"")
    assert ticket_version(frame, Look(mix="starry", share=0.4)) == 3


@pytest.mark.parametrize(
    "args",
    [
        pytest.param([], id="nothing"),
        pytest.param([WIRE_VERSION + 1, "s", 0, 1, False, 1.0, False], id="newer version"),
        pytest.param([0, "s", 0, 1, False, 1.0, False], id="no version there was"),
        pytest.param([1, "s", 0, 1, False, 1.0], id="a field short"),
        pytest.param([1, b"s", 0, 1, False, 1.0, False], id="bytes for a name"),
        pytest.param([1, "s", -1, 1, False, 1.0, False], id="negative seq"),
        pytest.param([1, "s", 0, 0, False, 1.0, False], id="attempt zero"),
        pytest.param([1, "s", 0, 1, False, 1.5, False], id="strength over one"),
        pytest.param([1, "s", 0, 1, False, float("nan"), False], id="strength not a number"),
        pytest.param([1, "", 0, 1, False, 1.0, False], id="no name"),
        pytest.param([1, "s", 0, 1, False, 1.0, False, 1.0], id="a brush in an old ticket"),
        pytest.param([3, "s", 0, 1, False, 1.0, False], id="no brush in a new one"),
        pytest.param([3, "s", 0, 1, False, 1.0, False, 0.1, "", 0.0], id="brush too small"),
        pytest.param([3, "s", 0, 1, False, 1.0, False, 1.0, "/etc/wave.xml", 0.4], id="a file to mix"),
        pytest.param([3, "s", 0, 1, False, 1.0, False, 1.0, "", 0.4], id="a share of nothing"),
        pytest.param([3, "s", 0, 1, False, 1.0, False, 1.0, "starry", 1.0], id="nothing left of the first style"),
        pytest.param([3, "s", 0, 1, False, 1.0, False, float("nan"), "", 0.0], id="brush not a number"),
    ],
)
def test_what_is_not_a_ticket_of_ours_is_refused(args: list[object]) -> None:
    with pytest.raises(WireError):
        Ticket.from_args(args)


def test_stages_come_back_as_they_were() -> None:
    stages = Stages(1, 2, 3.5, 4.5, 5.5, "wave", "wave@cpu0.desk")
    assert unpack_stages(pack_stages(stages)) == stages
