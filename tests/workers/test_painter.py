"""A worker whose memory runs short: smaller tiles at once, larger ones again later, and no try that could not help."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.protocol.codec import decode, encode
from pipeline.protocol.frame import Codec, EncodedFrame, Frame
from pipeline.protocol.wire import Ticket
from workers.painter import EnginePainter
from workers.processing import Processing
from workers.styles import find_style, list_styles, load_engine

HOUR_S = 3600


class Card:
    """Returns its input, with memory for `room` pixels at once; `tried` are the sizes it was handed."""

    multiple = 1
    overlap_px = 0
    bytes_per_px = 3
    processing = Processing()

    def __init__(self, room: int) -> None:
        self.room = room
        self.tried: list[int] = []

    def paint(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.tried.append(pixels.shape[0] * pixels.shape[1])
        if self.tried[-1] > self.room:
            raise MemoryError("CUDA out of memory")
        return pixels.copy()

    def forget(self) -> list[int]:
        """Return the sizes handed to it since the last time."""
        tried, self.tried = self.tried, []
        return tried


class WideCard(Card):
    """One whose network looks far, as ours do: below six margins a tile is not cut."""

    multiple = 8
    overlap_px = 16


@pytest.mark.parametrize("style", [style.name for style in list_styles()])
@pytest.mark.parametrize("size", [(48, 64), (45, 61)], ids=["on the network's grid", "padded"])
def test_every_style_paints_raw_pixels_as_it_does_a_pictures(style: str, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    painter = EnginePainter(load_engine(find_style(style), "cpu", 1), tile_mb=100, jpeg_quality=95)
    raw, png = (
        decode(painter.paint(encode(Frame(0, 0, pixels), codec), Ticket("clip", 0, 1), lambda: None).frame)
        for codec in (Codec.RAW, Codec.PNG)
    )
    assert np.array_equal(raw, png)


class Bench:
    """A painter on a card, at a time of the test's own."""

    def __init__(self, card: Card) -> None:
        self.now_s = 0.0
        self._painter = EnginePainter(card, tile_mb=1, jpeg_quality=95, clock=lambda: self.now_s)

    def paint(self, frame: EncodedFrame) -> None:
        painting = self._painter.paint(frame, Ticket("clip", 0, 1), lambda: None)
        assert np.array_equal(decode(painting.frame), decode(frame))


def noise(height: int, width: int) -> EncodedFrame:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return encode(Frame(0, 0, pixels), Codec.PNG)


FRAME = noise(96, 128)
WHOLE = 96 * 128


def test_smaller_tiles_are_kept_and_larger_ones_tried_again_once_there_may_be_room() -> None:
    card = Card(room=1000)
    bench = Bench(card)
    bench.paint(FRAME)
    assert card.forget()[0] == WHOLE
    bench.paint(FRAME)
    (small,) = set(card.forget())
    assert small <= 1000, "no frame is painted twice for a shortage that is known"
    card.room = 1 << 20
    bench.now_s = 59
    bench.paint(FRAME)
    assert set(card.forget()) == {small}
    sizes = []
    for bench.now_s in (61, 182, 423, 904, 1865):
        bench.paint(FRAME)
        (size,) = set(card.forget())
        sizes.append(size)
    assert small < sizes[0] < sizes[-1] == WHOLE


def test_a_shortage_that_stays_costs_ever_fewer_tries() -> None:
    card = Card(room=4000)
    bench = Bench(card)
    failed = []
    for _ in range(24):
        for _ in range(60):
            bench.now_s += HOUR_S / 60
            bench.paint(FRAME)
        failed.append(sum(size > card.room for size in card.forget()))
    assert failed[0] <= 7
    assert set(failed[2:]) <= {0, 1}, "one an hour in the end"


def test_what_cannot_be_cut_smaller_is_not_tried_again() -> None:
    card = WideCard(room=0)
    bench = Bench(card)
    with pytest.raises(MemoryError):
        bench.paint(noise(400, 400))
    tried = card.forget()
    assert tried == sorted(set(tried), reverse=True), "each try is with a smaller tile"
    assert len(tried) > 1
    with pytest.raises(MemoryError):
        bench.paint(noise(64, 64))
    assert len(card.forget()) == 1


def test_a_small_picture_without_room_leaves_the_tiles_of_large_ones_as_they_are() -> None:
    card = WideCard(room=0)
    bench = Bench(card)
    with pytest.raises(MemoryError):
        bench.paint(noise(64, 64))
    card.room = 1 << 20
    card.forget()
    bench.paint(noise(400, 400))
    assert card.forget() == [160_000]
