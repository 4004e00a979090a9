"""The producing side of a page: each browser session a live stream of its own, or one for each style of the grid."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain, count
from threading import Lock

from pipeline.errors import WireError
from pipeline.protocol.codec import probe
from pipeline.protocol.frame import Codec, EncodedFrame, Look
from pipeline.protocol.wire import Limits, Message, Ticket
from pipeline.server.transport import Transport
from producer.live import Channel, LiveFeed


class LiveSession:
    """One browser's camera: one picture in, one feed for each style. Not shared between threads."""

    def __init__(self, feed: Callable[[str, str, Look], LiveFeed], name: str, limits: Limits) -> None:
        self._open, self._limits = feed, limits
        self._feeds: dict[str, LiveFeed] = {}
        # None is used twice: a feed may go on under another style than it was opened for.
        self._names = chain([name], (f"{name}.{number}" for number in count(1)))

    @property
    def streams(self) -> Mapping[str, str]:
        """Style → stream."""
        return {style: feed.stream for style, feed in self._feeds.items()}

    def offer(self, jpeg: bytes, captured_ms: int) -> None:
        """Hand the picture to every feed. Raises `WireError` for no JPEG, or one over the limits."""
        if len(jpeg) > self._limits.max_bytes:
            raise WireError(f"picture of {len(jpeg)} bytes, at most {self._limits.max_bytes} are taken")
        header = probe(jpeg)
        if header.codec is not Codec.MJPEG or header.width * header.height > self._limits.max_pixels:
            raise WireError(f"{header.codec} picture of {header.width}×{header.height} is not taken")
        frame = EncodedFrame(0, captured_ms, header.codec, header.width, header.height, jpeg)
        for feed in self._feeds.values():
            feed.offer(frame)

    def offer_later(self, encode: Callable[[], bytes], size: tuple[int, int], captured_ms: int) -> None:
        """Hand the picture to every feed, which encodes it once it has a place; several share one encode."""
        lock, encoded = Lock(), list[bytes]()

        def frame() -> EncodedFrame:
            with lock:
                if not encoded:
                    encoded.append(encode())
            return EncodedFrame(0, captured_ms, Codec.MJPEG, *size, encoded[0])

        for feed in self._feeds.values():
            feed.offer(frame)

    def choose(self, styles: Sequence[str], look: Look) -> None:
        """Paint in `styles` from the next frame on. One style for another keeps the stream."""
        if len(styles) == 1 == len(self._feeds):
            (feed,) = self._feeds.values()
            feed.choose(styles[0], look)
            self._feeds = {styles[0]: feed}
            return
        for style in set(self._feeds) - set(styles):
            self._feeds.pop(style).close()
        for style in styles:
            if style in self._feeds:
                self._feeds[style].choose(style, look)
            else:
                self._feeds[style] = self._open(next(self._names), style, look)
                self._feeds[style].start()

    def close(self) -> None:
        """End all feeds; idempotent."""
        feeds, self._feeds = self._feeds, {}
        for feed in feeds.values():
            feed.close()


class PageStreams:
    """Opens sessions on one server. `pack(style, ticket)` makes a ticket's message."""

    def __init__(self, transport: Transport, pack: Callable[[str, Ticket], Message], limits: Limits) -> None:
        self._transport, self._pack, self._limits = transport, pack, limits

    def open(self, name: str, styles: Sequence[str], look: Look) -> LiveSession:
        """Open a session whose streams are named after `name`."""
        session = LiveSession(partial(_feed, self._transport, self._pack), name, self._limits)
        session.choose(styles, look)
        return session

    def wish(self, stream: str, style: str, look: Look) -> bool:
        """Change the style and look of a stream somebody else produces."""
        return self._transport.wish(stream, style, look)


def _feed(
    transport: Transport, pack: Callable[[str, Ticket], Message], stream: str, style: str, look: Look
) -> LiveFeed:
    return LiveFeed(Channel(stream, transport, pack), style, look)
