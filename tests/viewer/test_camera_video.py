"""A page's camera as video: decoded in order, bounded before it is decoded; a broken stream costs that stream only."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.errors import WireError
from tests.viewer.test_coders import pixels, shot
from viewer.camera_decoder import MAX_CHUNK_BYTES, MAX_PIXELS, CameraDecoder, DecodedPicture, pictures_in
from viewer.picture_coder import PageCodec, make_coder
from viewer.web.camera_video import CameraVideo
from viewer.web.messages import CameraChunk

VIDEO = (PageCodec.H264, PageCodec.VP8)


def chunks(count: int, codec: PageCodec = PageCodec.H264, keys: tuple[int, ...] = (0,)) -> list[CameraChunk]:
    coder = make_coder(codec, Fraction(1), 24)
    made = [coder.code(shot(n).frame.data, n * 42, 2e6, key=n in keys) for n in range(count)]
    return [CameraChunk(n, codec, one.is_key, one.data) for n, one in enumerate(made)]


@pytest.mark.parametrize("codec", VIDEO)
def test_each_chunk_is_the_picture_that_was_sent(codec: PageCodec) -> None:
    decoder = CameraDecoder()
    for number, chunk in enumerate(chunks(8, codec)):
        picture = decoder.decode(codec, chunk.data, key=chunk.is_key)
        assert cv2.PSNR(picture.pixels, pixels(number)) > 30
        assert cv2.imdecode(np.frombuffer(picture.jpeg(), np.uint8), cv2.IMREAD_COLOR).shape == picture.pixels.shape


def test_chunks_before_a_key_frame_and_behind_a_broken_one_are_refused_until_the_next() -> None:
    decoder, made = CameraDecoder(), chunks(6, keys=(0, 4))
    with pytest.raises(WireError, match="no key frame"):
        decoder.decode(PageCodec.H264, made[1].data, key=False)
    decoder.decode(PageCodec.H264, made[0].data, key=True)
    with pytest.raises(WireError):
        decoder.decode(PageCodec.H264, bytes(40), key=False)
    with pytest.raises(WireError, match="no key frame"):
        decoder.decode(PageCodec.H264, made[2].data, key=False)
    assert decoder.decode(PageCodec.H264, made[4].data, key=True).pixels.shape == (240, 320, 3)


def test_a_chunk_holds_one_picture() -> None:
    made = chunks(3)
    assert [pictures_in(chunk.data) for chunk in made] == [1, 1, 1]
    with pytest.raises(WireError, match="3 pictures"):
        CameraDecoder().decode(PageCodec.H264, b"".join(chunk.data for chunk in made), key=True)


def test_a_chunk_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(WireError, match="chunk of 1048577 bytes"):
        CameraDecoder().decode(PageCodec.H264, bytes(MAX_CHUNK_BYTES + 1), key=True)


@pytest.mark.parametrize("codec", VIDEO)
def test_a_stream_larger_than_anybody_films_is_refused(codec: PageCodec) -> None:
    width, height = 2112, 2112
    assert width * height > MAX_PIXELS
    flat = shot(0, width=width, height=height)
    coded = make_coder(codec, Fraction(1), 24).code(flat.frame.data, 0, 6e6, key=True)
    with pytest.raises(WireError):
        CameraDecoder().decode(codec, coded.data[:MAX_CHUNK_BYTES], key=True)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_video_is_refused_or_decoded_never_worse(seed: int) -> None:
    dice = np.random.default_rng(seed)
    decoder = CameraDecoder()
    for chunk in chunks(6):
        data = bytearray(chunk.data)
        for at in dice.integers(0, len(data), 1 + seed):
            data[at] ^= int(dice.integers(1, 256))
        try:
            decoder.decode(PageCodec.H264, bytes(data), key=chunk.is_key)
        except WireError:
            continue


class Page:
    """What the page's side hears."""

    def __init__(self) -> None:
        self.pictures: list[tuple[DecodedPicture, int]] = []
        self.keys = 0
        self.refusals: list[str] = []

    def video(self, pool: ThreadPoolExecutor) -> CameraVideo:
        return CameraVideo(
            pool, lambda picture, at: self.pictures.append((picture, at)), self._key, self.refusals.append
        )

    def _key(self) -> None:
        self.keys += 1


def on_loop(test: Callable[[Page, CameraVideo], Coroutine[Any, Any, None]]) -> Page:
    page = Page()

    async def opened() -> None:
        with ThreadPoolExecutor(1) as pool:
            video = page.video(pool)
            await test(page, video)
            await video.close()

    asyncio.run(opened())
    return page


async def settled(page: Page, count: int) -> None:
    async with asyncio.timeout(10):
        while len(page.pictures) < count and not page.refusals:
            await asyncio.sleep(0.005)


def test_pictures_come_out_in_order_with_their_times() -> None:
    async def test(page: Page, video: CameraVideo) -> None:
        for chunk in chunks(6):
            video.offer(chunk)
        await settled(page, 6)

    assert [at for _, at in on_loop(test).pictures] == list(range(6))


def test_a_backlog_is_dropped_up_to_the_next_key_frame_which_is_asked_for() -> None:
    async def test(page: Page, video: CameraVideo) -> None:
        made = chunks(14, keys=(0, 12))
        # All at once, before the loop has turned: more than may wait.
        for chunk in made[:12]:
            video.offer(chunk)
        assert page.keys == 1
        for chunk in made[12:]:
            video.offer(chunk)
        await settled(page, 2)

    assert [at for _, at in on_loop(test).pictures] == [12, 13]


def test_a_stream_that_keeps_failing_is_refused_once_and_for_all() -> None:
    async def test(page: Page, video: CameraVideo) -> None:
        for number in range(40):
            video.offer(CameraChunk(number, PageCodec.H264, True, b"\x00\x00\x01\x65\x88" + bytes(30)))
            await asyncio.sleep(0.005)
        await settled(page, 1)
        assert video.is_refused
        video.offer(chunks(1)[0])

    page = on_loop(test)
    assert len(page.refusals) == 1
    assert page.pictures == []
