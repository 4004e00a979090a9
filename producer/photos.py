"""Photos as a source: the pictures of a folder, or one alone, as one stream in which each has its own size and name.

Invariant: no picture above the limit is ever decoded, and one that cannot be read costs none of the others.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from pipeline.errors import PhotosUnreadable, UsageError
from pipeline.protocol.frame import Codec, Frame, Landmark, StreamInfo
from producer.photo_pixels import UNREADABLE, check_photo, read_photo, reason

# One tick a photo: order is all the time there is.
_TIME_BASE = Fraction(1)


class PhotoSource:
    """The photos `names` below `folder`, in that order; animated ones give their first picture."""

    def __init__(
        self, folder: Path, names: Sequence[str], *, max_pixels: int = 1 << 26, is_album: bool = False
    ) -> None:
        """Check that there are photos. Raises `UsageError`; one photo alone has its header read here already, unless
        it is one of an album's, where a bad one is told at the end."""
        if not names:
            raise UsageError(f"{folder}: no photos in this folder")
        self._folder, self._names, self._max_pixels = folder, list(names), max_pixels
        self._closed = False
        if len(self._names) == 1 and not is_album:
            try:
                check_photo(folder / self._names[0], max_pixels)
            except UNREADABLE as error:
                raise UsageError(f"{folder / self._names[0]}: not a readable photo ({reason(error)})") from error
        self.info = StreamInfo(0, 0, _TIME_BASE, frames=len(self._names), codec=Codec.PNG)

    def frames(self, start: int = 0, landmark: Landmark | None = None) -> Iterator[Frame]:
        """Yield photos from number `start` on; those that cannot be read are left out and named at the end.

        Raises `PhotosUnreadable` after the last photo when some were left out.
        """
        seq, broken = 0, dict[str, str]()
        for name in self._names:
            if self._closed:
                return
            try:
                # Those before `start` are decoded too: only so is it known which of them counted.
                pixels = read_photo(self._folder / name, self._max_pixels)
            except UNREADABLE as error:
                broken[name] = reason(error)
                continue
            if seq >= start:
                yield Frame(seq, seq, pixels, name)
            seq += 1
        if broken:
            raise PhotosUnreadable(broken, len(self._names))

    def close(self) -> None:
        """End a running iteration at its next photo."""
        self._closed = True
