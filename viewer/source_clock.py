"""One running clock out of a file whose own starts anew in its middle: two recordings in one file.

Pictures after a restart follow the last one before it (`producer.video` gives them so); sound and subtitles are moved
by as much, so that the second recording is in step as well.
"""

import logging
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
from av.packet import Packet

from pipeline.ffmpeg import file_url, picture_track

log = logging.getLogger(__name__)

# A clock that falls back by more has started anew; by less, a recorder doubled some stamps.
_RESTART_S = Fraction(1, 2)


@dataclass(slots=True)
class _Part:
    """The pictures from one restart to the next, in seconds on the file's clock."""

    first_s: Fraction
    last_s: Fraction


@dataclass(slots=True)
class _TrackClock:
    last_s: Fraction | None = None
    end_s: Fraction = Fraction(0)  # where the last packet ends, on the running clock
    added_s: Fraction = Fraction(0)
    part: int = 0


@dataclass(slots=True)
class SourceClock:
    """Says how far the packets of each track are to be moved. `step_s`: from a picture to the next."""

    path: Path
    step_s: Fraction
    _tracks: dict[int, _TrackClock] = field(default_factory=dict)
    _offsets_s: list[Fraction] | None = None

    def added(self, packet: "Packet[Any]") -> Fraction:
        """Return the seconds to add to this packet's stamps. Call it for each, as they lie in the file."""
        clock = self._tracks.setdefault(packet.stream.index, _TrackClock())
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None:
            return clock.added_s
        at_s = stamp * packet.time_base
        if clock.last_s is not None and at_s < clock.last_s - _RESTART_S:
            clock.part += 1
            clock.added_s = self._offset(clock, at_s)
        clock.last_s = at_s
        clock.end_s = at_s + (packet.duration or 0) * packet.time_base + clock.added_s
        return clock.added_s

    def _offset(self, clock: _TrackClock, at_s: Fraction) -> Fraction:
        if self._offsets_s is None:
            self._offsets_s = picture_offsets(self.path, self.step_s)
            log.info("%s: its clock starts anew %d times", self.path, len(self._offsets_s) - 1)
        if clock.part < len(self._offsets_s):
            return self._offsets_s[clock.part]
        return clock.end_s - at_s  # of this track alone


def picture_offsets(path: Path, step_s: Fraction) -> list[Fraction]:
    """Return what is added to the pictures' times from the start and from each restart on. Reads the whole file."""
    parts: list[_Part] = []
    last_dts_s: Fraction | None = None
    try:
        with av.open(file_url(path), metadata_errors="replace") as container:
            stream = picture_track(container.streams.video)
            for packet in container.demux(stream) if stream is not None else ():
                if not packet.size or packet.pts is None or packet.is_corrupt:
                    continue
                at_s = packet.pts * packet.time_base
                dts_s = at_s if packet.dts is None else packet.dts * packet.time_base
                if last_dts_s is None or dts_s < last_dts_s - _RESTART_S:
                    parts.append(_Part(at_s, at_s))
                last_dts_s = dts_s
                parts[-1].first_s, parts[-1].last_s = min(parts[-1].first_s, at_s), max(parts[-1].last_s, at_s)
    except av.FFmpegError as error:
        log.debug("%s: read to where it breaks: %s", path, error)
    offsets = [Fraction(0)]
    for before, part in pairwise(parts):
        offsets.append(before.last_s + offsets[-1] + step_s - part.first_s)
    return offsets
