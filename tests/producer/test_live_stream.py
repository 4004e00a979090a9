"""What `painter live` does to its pictures and its name: nothing is encoded in vain, nobody's stream is taken over."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.flow.window import LiveWindow
from pipeline.protocol.codec import decode
from pipeline.protocol.frame import Codec, EncodedFrame, Look
from pipeline.protocol.records import SubmitOutcome
from pipeline.protocol.wire import Limits, Stages, unpack_frame
from pipeline.server.transport import Transport
from producer import live_stream
from producer.live import Channel, LiveFeed
from producer.live_stream import LiveStream, Sizing, free_name
from tests.tickets import ANY
from tests.waiting import WaitUntil

PIXELS = np.full((96, 128, 3), 90, np.uint8)


@pytest.fixture
def feed(transport: Transport) -> Iterator[LiveFeed]:
    opened = LiveFeed(Channel("cam", transport, lambda style, ticket: ANY), "wave", Look())
    yield opened
    opened.close()


@pytest.fixture
def living(transport: Transport) -> Iterator[str]:
    """A stream that gives its sign of life."""
    transport.open_stream("cam", {"mode": "live"})
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(0.05):
            transport.touch_stream("cam")

    thread = threading.Thread(target=beat)
    thread.start()
    yield "cam"
    stop.set()
    thread.join()


def test_only_pictures_that_get_a_place_are_encoded(
    transport: Transport,
    feed: LiveFeed,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: WaitUntil,
) -> None:
    encoded: list[int] = []
    encode = live_stream.encode

    def noted(frame: live_stream.Frame, *rest: live_stream.Codec, quality: int) -> EncodedFrame:
        encoded.append(frame.pts)
        return encode(frame, *rest, quality=quality)

    monkeypatch.setattr(live_stream, "encode", noted)
    stream = LiveStream(feed, transport, Sizing((64, 64)))
    for pts in range(100):
        stream.take(PIXELS, pts)
    stream.start()
    wait_until(lambda: transport.is_unclaimed("cam", 0))
    assert encoded == [99]
    claim = transport.claim("cam", 0, 1000)
    assert claim is not None
    frame = unpack_frame(claim.document, Limits(1 << 20, 1 << 20))
    assert (frame.width, frame.height, frame.pts) == (64, 48, 99)
    counters = stream.look_after(1.0).counters
    assert (counters.captured, counters.dropped, counters.in_flight) == (100, 99, 1)


@pytest.mark.parametrize(("steady", "blue"), [(True, 90), (False, 92)])
def test_noise_is_taken_out_unless_pictures_are_wanted_as_they_are(
    transport: Transport, feed: LiveFeed, wait_until: WaitUntil, *, steady: bool, blue: int
) -> None:
    stream = LiveStream(feed, transport, Sizing(), steady=steady)
    stream.start()
    for seq, brighter in enumerate((0, 2)):
        pixels = PIXELS.copy()
        pixels[40:60, 40:60] += np.uint8(brighter)
        stream.take(pixels, seq)
        wait_until(lambda seq=seq: transport.is_unclaimed("cam", seq))
        claim = transport.claim("cam", seq, 1000)
        assert claim is not None
        assert transport.publish("cam", seq, claim.document, Stages(style="wave"))
    frame = unpack_frame(claim.document, Limits(1 << 20, 1 << 20))
    assert decode(frame)[45:55, 45:55, 0].mean() == pytest.approx(blue, abs=0.5)


def test_a_name_is_made_of_its_source_and_numbered_when_taken(transport: Transport, living: str) -> None:
    assert free_name(transport, "", "my clip: (1)") == "my-clip-1"
    assert free_name(transport, "", "///") == "live"
    assert free_name(transport, "", living) == "cam-2"


def test_a_wished_name_somebody_uses_is_refused(transport: Transport, living: str) -> None:
    with pytest.raises(UsageError, match="a stream called cam runs already"):
        free_name(transport, living, "")


def test_a_file_being_painted_keeps_its_name(transport: Transport) -> None:
    transport.open_stream("job", {"mode": "file"})
    with pytest.raises(UsageError):
        free_name(transport, "job", "")


def test_what_a_killed_producer_left_is_removed_with_its_places(transport: Transport) -> None:
    transport.open_stream("cam", {"mode": "live", "style": "wave", "maxlen": 16})
    only_one = LiveWindow("wave", 1)
    left = EncodedFrame(0, 0, Codec.MJPEG, 8, 8, b"")
    assert transport.submit_live("cam", left, ANY, window=only_one, drops={}).fate is SubmitOutcome.SENT
    transport.open_stream("other", {"maxlen": 16})
    assert not transport.ask_place("other", only_one).is_free
    assert free_name(transport, "cam", "") == "cam"
    assert [card.name for card in transport.streams()] == ["other"]
    assert transport.ask_place("other", only_one).is_free
