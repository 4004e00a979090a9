"""How steady our films are beside the peer's, equally sharp: on clips that were filmed, and where the motion is known.

Flow that is found in a clip is only as good as what there is to see: along a blank wall it wanders by a pixel and more,
and a painting that stands still counts as flicker. So each figure stands beside that of one painting shown all along.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks import painters
from benchmarks.style_measures import Clip, Paint, Pixels, Step, Way, as_sharp_as

log = logging.getLogger(__name__)

SIZE = (640, 480)
_FRAMES = 24
# The hand over a photo, a frame: pixels right and down, degrees, and nearer by so much of its size.
_PAN, _TURN, _ZOOM = (3.3, 1.2), 0.15, 0.003
# What the largest of these takes of a photo beyond the picture, on each side.
_MARGIN = (80, 70)
# A camera's noise in a lit room, rms of 255.
_NOISE = 2.0


@dataclass(frozen=True, slots=True)
class FilmRow:
    """One style on one clip. `peer`: flicker of the peer, frames as filmed. `ours`: of our film, sharpened until it is
    as sharp. `still`: of one of its paintings, shown all along."""

    style: str
    clip: str
    peer: float
    ours: float
    still: float


def filmed(path: Path) -> Clip:
    """The first frames of a video at 640×480; motion as found by DIS."""
    capture = cv2.VideoCapture(str(path))
    frames: list[Pixels] = []
    while len(frames) < _FRAMES and (found := capture.read())[0]:
        frames.append(np.asarray(cv2.resize(found[1], SIZE, interpolation=cv2.INTER_AREA), np.uint8))
    capture.release()
    return Clip(frames)


def passed_over(photo: Pixels) -> Clip:
    """A noisy camera that pans, turns and comes nearer over a photo (BGR): its motion is known exactly."""
    height, width = photo.shape[:2]
    scale = max((SIZE[0] + 2 * _MARGIN[0]) / width, (SIZE[1] + 2 * _MARGIN[1]) / height)
    ground = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(3)
    views = [_view(index, (ground.shape[1], ground.shape[0])) for index in range(_FRAMES)]
    frames = []
    for view in views:
        seen = cv2.warpAffine(ground, view[:2], SIZE, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
        frames.append(np.asarray(np.clip(seen + rng.normal(0, _NOISE, seen.shape), 0, 255).round(), np.uint8))
    return Clip(frames, [_step(np.linalg.inv(before) @ after) for before, after in itertools.pairwise(views)])


def _view(index: int, ground: tuple[int, int]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the 3×3 that takes a place of that frame to its place on the ground (width, height)."""
    since = index - _FRAMES / 2
    angle, size = np.radians(_TURN * since), 1.0 + _ZOOM * index
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / size
    centre = np.array(ground) / 2 + since * np.array(_PAN)
    view = np.eye(3)
    view[:2, :2], view[:2, 2] = turn, centre - turn @ np.array(SIZE) / 2
    return view


def _step(back: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Step:
    rows, columns = np.indices(SIZE[::-1], dtype=np.float32)
    places = np.asarray(np.stack([columns, rows], -1) @ back[:2, :2].T + back[:2, 2], np.float32)
    inside = (places >= 0).all(-1) & (places[..., 0] < SIZE[0] - 1) & (places[..., 1] < SIZE[1] - 1)
    return places, inside


def compare(clips: Mapping[str, Clip], paintings: Mapping[str, Pixels], weights: Path) -> Iterator[FilmRow]:
    """Every style (name: painting) on every clip."""
    for name, painting in paintings.items():
        peer, ours = painters.lite_of(painting), painters.ours(weights / f"{name}.xml", SIZE)
        for label, clip in clips.items():
            row = _row(name, label, clip, peer, ours)
            log.info("%s", row)
            yield row


def _row(style: str, label: str, clip: Clip, peer: Paint, ours: Paint) -> FilmRow:
    asked = clip.steadiness(peer)
    film = as_sharp_as(asked.sharpness, clip.painted(ours, Way.FILM))
    still = [film[len(film) // 2]] * len(film)
    return FilmRow(style, label, asked.flicker, clip.judged(film).flicker, clip.judged(still).flicker)


def table(rows: Iterable[FilmRow]) -> str:
    """The rows as Markdown, shares of the peer's flicker: a line a style, two columns a clip."""
    by_style: dict[str, list[FilmRow]] = {}
    for row in rows:
        by_style.setdefault(row.style, []).append(row)
    clips = [row.clip for row in next(iter(by_style.values()), [])]
    heads = ["style", *(head for clip in clips for head in (clip, "one painting all along"))]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for style, found in by_style.items():
        cells = [f"{share / row.peer:.2f}" for row in found for share in (row.ours, row.still)]
        lines.append(f"| {style} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
