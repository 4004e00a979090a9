"""Beginning in the middle of a video, exactly: at a time, or at a frame whose number and time are both known.

Frames are never counted by packets: a packet may be hidden (VP8's alternate references) or half a frame (fields). What
a seek gives is believed only where it shows the very picture looked for; else the caller decodes from the beginning.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain, dropwhile, islice
from pathlib import Path

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
from av.video.frame import VideoFrame

from pipeline.errors import SourceError
from pipeline.protocol.frame import Landmark
from producer.demux import has_steady_clock

Timed = tuple[int, VideoFrame]

# How far before the time wanted to seek, in turn: the frames before a resumed one must be there too, and the pictures
# before a keyframe in an open group are not whole.
_BACK_S = (Fraction(0), Fraction(2), Fraction(10), Fraction(60))


class Seeker:
    """Finds pictures in one file. `pictures(seek)` decodes from the keyframe before `seek`, in ticks, pts rising."""

    def __init__(self, path: Path, pictures: Callable[[int | None], Iterator[Timed]], time_base: Fraction) -> None:
        self._path, self._pictures, self._time_base = path, pictures, time_base

    def from_landmark(self, start: int, landmark: Landmark, first_pts: int) -> Iterator[Timed] | None:
        """Return the pictures from number `start` on, at most one behind the landmark; None where that is not exact."""
        if not has_steady_clock(self._path, landmark.pts):
            return None
        for target in self._targets(landmark.pts, first_pts):
            broken, whole = self._up_to(target, landmark.pts)
            skipped = whole - 1 - (landmark.seq - start)
            if whole and skipped >= 0:
                return islice(self._pictures(target), broken + skipped, None)
        return None

    def from_time(self, low: int, first_pts: int) -> Iterator[Timed] | None:
        """Return the pictures from the first at or after `low` on; None where that is not exact."""
        if not has_steady_clock(self._path, low):
            return None
        for target in self._targets(low, first_pts):
            pictures = self._pictures(target)
            try:
                first = next(pictures, None)
            except SourceError:
                return None
            if first is not None and first[1].key_frame and first[0] <= low:
                return dropwhile(lambda item: item[0] < low, chain([first], pictures))
        return None

    def _targets(self, pts: int, first_pts: int) -> Iterator[int]:
        wanted = (pts - round(back_s / self._time_base) for back_s in _BACK_S)
        return (target for target in wanted if target > first_pts)

    def _up_to(self, target: int, pts: int) -> tuple[int, int]:
        """Count the pictures a seek gives up to the one of time `pts`: before the first keyframe, and from it on.

        0 from it on where none has that time.
        """
        before = count = 0
        try:
            for at, picture in self._pictures(target):
                if at > pts:
                    break
                if not count and not picture.key_frame:
                    before += 1
                    continue
                count += 1
                if at == pts:
                    return before, count
        except SourceError:
            pass
        return before, 0
