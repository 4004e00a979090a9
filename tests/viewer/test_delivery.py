"""What one page is sent of a stream: as painted, as video, as smaller JPEGs; its sizes, its key frames, its window."""

import asyncio
import json
import struct
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest

from tests.viewer.test_coders import shot
from viewer.picture_coder import PageCodec
from viewer.web.coders import Coders
from viewer.web.delivery import Delivery
from viewer.web.limits import PageLimits
from viewer.web.line import Line, Receipt, Way

H264 = (PageCodec.H264,)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def thin(rate_bps: float = 2e6) -> Line:
    """A line that is known to be thin."""
    line = Line()
    line.acknowledged(Receipt(1.0, 0.0, 0.0, 100_000), 3e7, 1)
    line.way, line.rate_bps = Way.CODED, rate_bps
    return line


def opened(message: bytes) -> tuple[int, dict[str, Any], bytes, bytes]:
    kind, length = struct.unpack_from("<BH", message)
    header = json.loads(message[3 : 3 + length])
    body = message[3 + length :]
    assert len(body) == header["size"] + header["source_size"]
    return kind, header, body[: header["size"]], body[header["size"] :]


async def sent(delivery: Delivery, number: int, **changes: bytes) -> list[tuple[int, dict[str, Any], bytes, bytes]]:
    taken = replace(shot(number), **changes)
    return [opened(message) for message in await delivery.messages("hall", taken, 1.0 + number, fps=24)]


@pytest.mark.parametrize("codecs", [None, (), H264], ids=["a program", "no video", "video"])
def test_on_a_wide_line_the_jpeg_is_the_painters_own(codecs: tuple[PageCodec, ...] | None) -> None:
    async def test() -> None:
        delivery = Delivery(Coders(), PageLimits(), codecs)
        delivery.join("hall")
        ((kind, header, painted, _),) = await sent(delivery, 0)
        assert (kind, painted) == (2, shot(0).frame.data)
        assert "codec" not in header

    run(test())


def test_a_page_that_says_nothing_of_itself_is_never_sent_anything_else() -> None:
    async def test() -> None:
        delivery = Delivery(Coders(), PageLimits(), None, line=thin())
        delivery.join("hall")
        ((kind, _, painted, _),) = await sent(delivery, 0)
        assert (kind, painted) == (2, shot(0).frame.data)

    run(test())


def test_video_begins_with_a_key_frame_and_again_where_it_was_lost() -> None:
    async def test() -> None:
        delivery = Delivery(Coders(), PageLimits(), H264, line=thin())
        delivery.join("hall")
        keys = []
        for number in range(20):
            if number == 15:
                await asyncio.sleep(0.6)  # the least between two key frames
                delivery.renew("hall")
            ((kind, header, _, _),) = await sent(delivery, number)
            assert kind == 3
            keys.append(header["key"])
        assert [number for number, key in enumerate(keys) if key] == [0, 15]
        delivery.close()

    run(test())


def test_tiles_are_sent_at_tile_size() -> None:
    async def test() -> None:
        delivery = Delivery(Coders(), PageLimits(), H264, line=thin(), width_px=150)
        delivery.join("hall")
        ((_, header, _, _),) = await sent(delivery, 0)
        assert (header["w"], header["h"]) == (320, 240)
        assert (header["coded_w"], header["coded_h"]) == (160, 120)
        delivery.close()

    run(test())


def test_a_rate_too_low_for_the_size_makes_the_picture_smaller_and_larger_again() -> None:
    async def test() -> None:
        delivery = Delivery(Coders(), PageLimits(), H264, line=thin(2e6))
        delivery.join("hall")
        widths = []
        for number, rate_bps in enumerate((2e6, 6e4, 1.2e5, 2e6)):
            delivery.line.rate_bps = rate_bps
            found = await sent(delivery, number)
            widths.append(found[-1][1]["coded_w"])
        assert widths[0] == widths[-1] == 320
        assert widths[1] < widths[2] < 320
        delivery.close()

    run(test())


def test_compared_pictures_come_as_jpegs_that_share_the_rate() -> None:
    async def test() -> None:
        delivery = Delivery(Coders(), PageLimits(), H264, line=thin())
        delivery.join("hall")
        ((kind, header, painted, source),) = await sent(delivery, 0, source=shot(9).frame.data)
        assert (kind, header["codec"]) == (2, "jpeg")
        assert painted[:2] == source[:2] == b"\xff\xd8"
        assert len(source) < len(shot(9).frame.data)
        delivery.close()

    run(test())


def test_the_window_is_two_near_by_and_covers_the_round_trip_far_away() -> None:
    async def test() -> None:
        for trip_s, expected in ((0.001, 2), (0.1, 5), (5.0, 26)):
            line = thin()
            line.pinged(1.0, trip_s)
            delivery = Delivery(Coders(), PageLimits(), H264, line=line)
            delivery.join("hall")
            line.way = Way.PASS
            count = 0
            while delivery.has_room("hall", 1.0) and count < 50:
                await delivery.messages("hall", shot(count), 1.0, fps=24)
                count += 1
            assert count == min(expected, 26)

    run(test())


def test_a_page_that_leaves_ends_its_coder() -> None:
    async def test() -> None:
        coders = Coders()
        delivery = Delivery(coders, PageLimits(), H264, line=thin())
        delivery.join("hall")
        await sent(delivery, 0)
        assert coders.count == 1
        delivery.leave("hall")
        assert coders.count == 0
        coders.close()

    run(test())
