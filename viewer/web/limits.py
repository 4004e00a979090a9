"""What one page, and all pages together, may take of the server; and the bucket that holds a sender to a rate. Pure."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class PageLimits:
    """The page server's bounds. Beyond them a request is refused in words, and nothing is kept for it."""

    pages: int = 64
    sessions: int = 16
    programs: int = 16
    uploads: int = 2
    jobs: int = 16
    #: A camera picture of 1080p at quality 95 is about 1 MB.
    picture_bytes: int = 4 << 20
    text_bytes: int = 16 << 10
    upload_bytes: int = 4 << 30
    #: Pictures from a page's camera, and everything else a page says, a second.
    pictures_per_s: float = 60.0
    messages_per_s: float = 40.0
    #: Six streams at 60 FPS, and as much again.
    acks_per_s: float = 720.0
    watched: int = 12
    #: Pictures of one stream sent and not yet drawn: one on its way while one is drawn.
    unacked: int = 2
    #: On a long line: 24 FPS over a round trip of a second.
    most_unacked: int = 26

    def for_page(self) -> dict[str, float]:
        """Return them as the page reads them."""
        return asdict(self)


class Bucket:
    """So many a second, and a second's worth at once. The caller passes the time."""

    def __init__(self, per_s: float, now_s: float) -> None:
        self._per_s, self._left, self._then_s = per_s, per_s, now_s

    def take(self, now_s: float, amount: float = 1.0) -> bool:
        """Return whether one more, or so much more, fits."""
        self._left = min(self._per_s, self._left + (now_s - self._then_s) * self._per_s)
        self._then_s = now_s
        if self._left < amount:
            return False
        self._left -= amount
        return True
