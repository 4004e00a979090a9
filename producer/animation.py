"""An animated GIF, WebP, PNG or AVIF as a source: each picture upright, for as long as the file shows it.

Pillow reads them: FFmpeg knows no animated WebP, and shows only the first picture of an AVIF. Invariant: frame `n` is
the same picture with the same pts wherever reading began.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from PIL import Image

from pipeline.errors import SourceError, UsageError
from pipeline.photo_file import open_photo
from pipeline.protocol.frame import Codec, Frame, Landmark, StreamInfo
from producer.photo_pixels import UNREADABLE, bgr, reason, require_size

# Files count in hundredths of a second, in milliseconds or in fractions of their own.
_TIME_BASE = Fraction(1, 1000)
# Browsers show a picture of 10 ms and less for 100: such files come from the days when it meant "as fast as possible".
_SHORTEST_MS, _INSTEAD_MS = 10, 100


class AnimationSource:
    """The pictures of one animated file, H×W×3 BGR, transparency on white."""

    def __init__(
        self, path: Path, *, start_s: float | None = None, end_s: float | None = None, max_pixels: int = 1 << 26
    ) -> None:
        """Open the file and read the length of each picture. Raises `UsageError`."""
        self._path, self._closed = path, False
        try:
            with open_photo(path) as image:
                require_size(image.width, image.height, max_pixels)
                self._height, self._width = bgr(image).shape[:2]
                self._starts_ms = _starts_ms(image)
        except UNREADABLE as error:
            raise UsageError(f"{path}: not a readable animation ({reason(error)})") from error
        self._low = round((start_s or 0) * 1000)
        self._high = round(end_s * 1000) if end_s is not None else self._starts_ms[-1]
        self._shown = [n for n, at in enumerate(self._starts_ms[:-1]) if self._low <= at < self._high]
        if not self._shown:
            raise UsageError(f"{path}: nothing lies between the start and the end asked for")
        self.info = self._describe()

    def frames(self, start: int = 0, landmark: Landmark | None = None) -> Iterator[Frame]:
        """Yield pictures from number `start` on. Raises `SourceError` where the file breaks."""
        seq = start
        try:
            with open_photo(self._path) as image:
                for seq in range(start, len(self._shown)):
                    if self._closed:
                        return
                    number = self._shown[seq]
                    # Pillow decodes those before it, too: each is drawn over the last.
                    image.seek(number)
                    yield Frame(seq, self._starts_ms[number], bgr(image))
        except UNREADABLE as error:
            raise SourceError(f"{self._path.name} broke at picture {seq}: {reason(error)}") from error

    def close(self) -> None:
        """End a running iteration at its next picture."""
        self._closed = True

    def _describe(self) -> StreamInfo:
        first, end_ms = self._starts_ms[self._shown[0]], min(self._high, self._starts_ms[-1])
        rate = Fraction(len(self._shown) * 1000, max(1, end_ms - first)).limit_denominator(1000)
        return StreamInfo(
            self._width, self._height, _TIME_BASE, rate=rate, frames=len(self._shown), end_pts=end_ms, codec=Codec.PNG
        )


def _starts_ms(image: Image.Image) -> list[int]:
    """Return when each picture begins, and where the last one ends."""
    starts, at_ms = [0], 0.0
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        image.load()  # WebP and AVIF tell it only then
        length_ms = float(image.info.get("duration") or 0)
        at_ms += length_ms if length_ms > _SHORTEST_MS else _INSTEAD_MS
        starts.append(round(at_ms))
    return starts
