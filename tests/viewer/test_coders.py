"""One encode for all watchers of a size; a page that joins begins with a key frame. Decoded here by FFmpeg."""

import asyncio
from collections.abc import Coroutine
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.errors import WireError
from pipeline.protocol.codec import encode_pixels
from pipeline.protocol.frame import Codec, EncodedFrame
from pipeline.protocol.wire import Stages
from viewer.broadcast import Shot
from viewer.picture_coder import PageCodec, avc_name, make_coder
from viewer.web.coders import CoderKey, Coders, Numbered

WIDTH, HEIGHT = 320, 240


def pixels(number: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """A busy picture that moves by `number` pixels."""
    noise = np.random.default_rng(5).integers(0, 256, (height, width + 64, 3), np.uint8)
    return np.ascontiguousarray(cv2.GaussianBlur(noise, (0, 0), 4)[:, number % 64 : number % 64 + width])


def shot(number: int, data: bytes | None = None, width: int = WIDTH, height: int = HEIGHT) -> Shot:
    jpeg = encode_pixels(pixels(number, width, height), Codec.MJPEG) if data is None else data
    stages = Stages()
    return Shot("hall", EncodedFrame(number, number, Codec.MJPEG, width, height, jpeg), b"", stages, 0)


def decoded(found: list[Numbered], codec: str) -> list[NDArray[Any]]:
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, av.VideoCodecContext)
    return [frame.to_ndarray(format="bgr24") for one in found for frame in context.decode(av.Packet(one.coded.data))]


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


@pytest.mark.parametrize("codec", [PageCodec.H264, PageCodec.VP8])
def test_every_picture_comes_out_at_once_and_looks_like_the_painting(codec: PageCodec) -> None:
    coder = make_coder(codec, Fraction(1), 24)
    context = av.CodecContext.create(codec.value, "r")
    assert isinstance(context, av.VideoCodecContext)
    for number in range(8):
        coded = coder.code(shot(number).frame.data, number * 42, 2e6, key=number == 0)
        (frame,) = context.decode(av.Packet(coded.data))
        assert coded.is_key is (number == 0)
        assert cv2.PSNR(frame.to_ndarray(format="bgr24"), pixels(number)) > 30


@pytest.mark.parametrize("codec", list(PageCodec))
def test_a_smaller_picture_is_the_same_picture(codec: PageCodec) -> None:
    coded = make_coder(codec, Fraction(3, 8), 24).code(shot(0).frame.data, 0, 2e6, key=True)
    assert (coded.width, coded.height) == (120, 90)
    if codec is PageCodec.MJPEG:
        small = cv2.imdecode(np.frombuffer(coded.data, np.uint8), cv2.IMREAD_COLOR)
    else:
        (small,) = decoded([Numbered(0, shot(0), coded)], codec.value)
    assert cv2.PSNR(small, cv2.resize(pixels(0), (120, 90), interpolation=cv2.INTER_AREA)) > 28


def test_the_rate_is_kept_and_changes_without_a_key_frame() -> None:
    coder = make_coder(PageCodec.H264, Fraction(1), 24)
    found = [coder.code(shot(n).frame.data, n * 42, 2e6 if n < 40 else 5e5, key=n == 0) for n in range(100)]
    first, second = ([len(one.data) * 8 * 24 for one in found[a:b]] for a, b in ((8, 40), (56, 100)))
    assert np.mean(first) < 2.2e6
    assert np.mean(second) < 5.5e5
    assert [one.is_key for one in found] == [True] + 99 * [False]


def test_jpegs_come_down_to_the_rate() -> None:
    coder = make_coder(PageCodec.MJPEG, Fraction(1, 2), 24)
    sizes = [len(coder.code(shot(n).frame.data, n * 42, 3e5, key=False).data) for n in range(30)]
    assert sizes[-1] * 8 * 24 < 1.15 * 3e5 < sizes[0] * 8 * 24


def test_watchers_of_one_size_share_one_encode() -> None:
    async def test() -> None:
        coders, key = Coders(), CoderKey("hall", PageCodec.H264, Fraction(1))
        watchers = [object() for _ in range(5)]
        indices = dict.fromkeys(watchers, -1)
        received: dict[object, list[Numbered]] = {watcher: [] for watcher in watchers}
        for number in range(6):
            taken = shot(number)
            for watcher in watchers:
                found = await coders.join(key, watcher, 2e6, 24).after(indices[watcher], taken)
                received[watcher] += found
                indices[watcher] = found[-1].index
        shared = coders.join(key, watchers[0], 2e6, 24)
        assert shared.count == 6
        assert all(received[watcher] == received[watchers[0]] for watcher in watchers)
        assert len(decoded(received[watchers[0]], "h264")) == 6
        coders.close()

    run(test())


def test_a_watcher_that_skips_pictures_gets_them_all_and_one_that_joins_late_a_key_frame() -> None:
    async def test() -> None:
        coders, key = Coders(), CoderKey("hall", PageCodec.H264, Fraction(1))
        fast, slow, late = object(), object(), object()
        index, got = -1, list[Numbered]()
        for number in range(30):
            found = await coders.join(key, fast, 2e6, 24).after(index, shot(number))
            index, got = found[-1].index, got + found
            if number == 4:
                behind = await coders.join(key, slow, 2e6, 24).after(-1, shot(number))
            if number == 10:
                more = await coders.join(key, slow, 2e6, 24).after(behind[-1].index, shot(number))
        assert [one.index for one in behind + more] == list(range(11))
        assert len(decoded(behind + more, "h264")) == 11
        joined = await coders.join(key, late, 2e6, 24).after(-1, shot(30))
        assert joined[0].coded.is_key
        assert len(decoded(joined, "h264")) == len(joined) == 1
        # And whoever watched goes on with it.
        found = await coders.join(key, fast, 2e6, 24).after(index, shot(31))
        assert len(decoded(got + found, "h264")) == 32
        coders.close()

    run(test())


def test_the_slowest_watcher_sets_the_rate_and_the_last_one_ends_the_coder() -> None:
    async def test() -> None:
        coders, key = Coders(), CoderKey("hall", PageCodec.H264, Fraction(1))
        one, two = object(), object()
        coders.join(key, one, 4e6, 24)
        shared = coders.join(key, two, 1e6, 24)
        assert min(shared.rates.values()) == 1e6
        coders.leave(key, two)
        assert list(shared.rates.values()) == [4e6]
        coders.leave(key, one)
        assert coders.join(key, one, 4e6, 24) is not shared
        coders.close()

    run(test())


def test_a_turned_stream_begins_with_a_key_frame_of_its_new_size() -> None:
    coder = make_coder(PageCodec.H264, Fraction(1), 24)
    coder.code(shot(0).frame.data, 0, 2e6, key=True)
    turned = coder.code(shot(1, width=HEIGHT, height=WIDTH).frame.data, 42, 2e6, key=False)
    assert (turned.width, turned.height, turned.is_key) == (HEIGHT, WIDTH, True)


@pytest.mark.parametrize("codec", list(PageCodec))
@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"\x00" * 100], ids=["nothing", "cut", "zeros"])
def test_a_broken_painting_costs_one_picture(codec: PageCodec, data: bytes) -> None:
    coder = make_coder(codec, Fraction(1), 24)
    coder.code(shot(0).frame.data, 0, 2e6, key=True)
    with pytest.raises(WireError):
        coder.code(data, 42, 2e6, key=False)
    assert coder.code(shot(2).frame.data, 84, 2e6, key=False).data


def test_the_codec_is_named_by_the_stream_itself() -> None:
    assert avc_name(bytes.fromhex("00000001 67 42c01e d9 00000001 68 ce")) == "avc1.42c01e"
    with pytest.raises(WireError):
        avc_name(b"\x00\x00\x01\x65\x88")
