"""Photos as a source: the pictures of a folder, or one alone, as one stream in which each has its own size and name.

Invariant: no picture above the limit is ever decoded, and one that cannot be read costs none of the others.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from pipeline.errors import SourceError, UsageError
from pipeline.protocol.frame import Codec, Frame, StreamInfo
from producer.photo_pixels import UNREADABLE, check_photo, read_photo, reason

# One tick a photo: order is all the time there is.
_TIME_BASE = Fraction(1)


class PhotoSource:
    """The photos `names` below `folder`, in that order; animated ones give their first picture."""

    def __init__(self, folder: Path, names: Sequence[str], *, max_pixels: int = 1 << 26) -> None:
        """Check that there are photos. Raises `UsageError`; one photo alone has its header read here already."""
        if not names:
            raise UsageError(f"{folder}: no photos in this folder")
        self._folder, self._names, self._max_pixels = folder, list(names), max_pixels
        self._closed = False
        if len(self._names) == 1:
            try:
                check_photo(folder / self._names[0], max_pixels)
            except UNREADABLE as error:
                raise UsageError(f"{folder / self._names[0]}: not a readable photo ({reason(error)})") from error
        self.info = StreamInfo(0, 0, _TIME_BASE, frames=len(self._names), codec=Codec.PNG)

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield photos from number `start` on; those that cannot be read are left out and named at the end.

        Raises `SourceError` after the last photo when some were left out.
        """
        seq, broken = 0, []
        for name in self._names:
            if self._closed:
                return
            try:
                # Those before `start` are decoded too: only so is it known which of them counted.
                pixels = read_photo(self._folder / name, self._max_pixels)
            except UNREADABLE as error:
                broken.append(f"{name} ({reason(error)})")
                continue
            if seq >= start:
                yield Frame(seq, seq, pixels, name)
            seq += 1
        if broken:
            more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
            raise SourceError(
                f"{len(broken)} of {len(self._names)} photos cannot be read: {', '.join(broken[:3])}{more}"
            )

    def close(self) -> None:
        """End a running iteration at its next photo."""
        self._closed = True
