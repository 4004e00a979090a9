"""What a film says of itself, carried into the output: titles, camera and place, chapters.

Invariant: nothing untrue is said, and chapters lie where the pictures they name have gone.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
from av.container import InputContainer, OutputContainer

# The source's own writer and brand would be untrue of the output.
_UNTRUE = frozenset({"encoder", "software", "major_brand", "minor_version", "compatible_brands", "duration"})
# Keys with an atom of their own in MP4 and MOV. With any other, as phones write, all go into `mdta` keys, which
# QuickTime, FFmpeg and phones read but some taggers do not.
_ATOMS = frozenset(
    {
        "album", "album_artist", "artist", "comment", "composer", "copyright", "creation_time", "date", "description",
        "genre", "grouping", "location", "synopsis", "timecode", "title", "track",
    }
)  # fmt: skip
_TICK = Fraction(1, 1000)


def copied_tags(source: InputContainer) -> dict[str, str]:
    """Return the file's tags that are true of the output too."""
    return {key: value for key, value in source.metadata.items() if key.lower() not in _UNTRUE}


def mov_flags(tags: Mapping[str, str]) -> str:
    """Return FFmpeg's `movflags` for an MP4 or MOV with these tags."""
    has_own_keys = any(key.lower().partition("-")[0] not in _ATOMS for key in tags)
    return "+faststart+use_metadata_tags" if has_own_keys else "+faststart"


def copy_chapters(
    source: InputContainer, out: OutputContainer, shift_s: Fraction, start_s: Fraction | None, end_s: Fraction | None
) -> None:
    """Set the chapters of the part from `start_s` to `end_s` (None: no bound), `shift_s` earlier."""
    if chapters := _moved(source.chapters(), shift_s, start_s, end_s):
        out.set_chapters(chapters)


def _moved(chapters: Sequence[Any], shift_s: Fraction, start_s: Fraction | None, end_s: Fraction | None) -> list[Any]:
    moved: list[Any] = []
    for chapter in chapters:
        tick = Fraction(chapter["time_base"])
        first_s, last_s = chapter["start"] * tick, chapter["end"] * tick
        first_s = first_s if start_s is None else max(first_s, start_s)
        last_s = last_s if end_s is None else min(last_s, end_s)
        if first_s < last_s:
            start, end = (max(0, round((second - shift_s) / _TICK)) for second in (first_s, last_s))
            moved.append({**chapter, "start": start, "end": end, "time_base": _TICK})
    return moved
