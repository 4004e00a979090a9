"""Sheets for blind pairs: photo, painting and two results at equal size, sides and order by a seed, the key apart."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.pair_painters import Painter, read_bgr
from benchmarks.style_measures import Pixels

_TILE = (640, 480)
_THUMBNAIL = (240, 180)
_LABEL_PX, _GAP_PX = 36, 12
_PAPER = 255
_QUESTIONS = """Each sheet shows a photo and below it two paintings of that photo, A and B, made by two methods.
For each sheet answer two questions by looking at that sheet alone; each answer is A or B:

q1: {q1}
q2: Which of the two would you keep?
{faces}
Write one line a sheet into a CSV file with this first line (judge: a name of yours, the same in every line):

{heading}
"""
_Q1 = """Which looks more like a painting by the artist of the painting shown? Where the sheet shows no painting:
    which looks more like a painting made by an artist's hand?"""
_Q1_THUMBNAILS = "Which looks more like a painting by the artist of the small painting shown under it?"
_FACES = """
Where the photo is a portrait, also: are the eyes and the mouth of the face whole in A (whole_a), in B (whole_b)?
Answer yes or no; leave both empty on other sheets.
"""


@dataclass(frozen=True, slots=True)
class Pair:
    """One sheet. `a`, `b`: words of the painters on either side; `first` is the one whose wins are counted."""

    id: str
    photo: str
    photos: str
    first: str
    second: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class Key:
    """Which painter is on which side of each sheet."""

    seed: int
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """Two painters on a set of photos."""

    first: Painter
    second: Painter
    photos: str


def draw_up(matches: Sequence[Match], photos: Mapping[str, Sequence[str]], seed: int) -> Key:
    """Decide sides and order: every match on every photo (names by set) once. The same seed gives the same key."""
    rng = random.Random(seed)
    # Names in front, so that sheets of two calls never share an id.
    words = [f"{match.first.word} {match.second.word} {match.photos}" for match in matches]
    mark = hashlib.sha256(f"{seed} {words}".encode()).hexdigest()[:4]
    planned = [(match, photo) for match in matches for photo in photos[match.photos]]
    rng.shuffle(planned)
    pairs = []
    for number, (match, photo) in enumerate(planned, 1):
        first, second = match.first.word, match.second.word
        a, b = (first, second) if rng.random() < 0.5 else (second, first)
        pairs.append(Pair(f"{mark}-{number:03}", photo, match.photos, first, second, a, b))
    return Key(seed, tuple(pairs))


def sheet(
    photo: Pixels, a: Pixels, b: Pixels, *, painting: Pixels | None = None, thumbnails: Sequence[Pixels] = ()
) -> Pixels:
    """One sheet (BGR): photo and `painting` above, A and B below, with the paintings of each under them if given."""
    blank = np.full((_TILE[1], _TILE[0], 3), _PAPER, np.uint8)
    above = _labelled(blank, "") if painting is None else _labelled(whole(painting, _TILE), "painting")
    rows = [(_labelled(photo, "photo"), above), (_labelled(a, "A"), _labelled(b, "B"))]
    if thumbnails:
        left, right = thumbnails
        rows.append((_centred(whole(left, _THUMBNAIL)), _centred(whole(right, _THUMBNAIL))))
    gap = np.full((_GAP_PX, 2 * _TILE[0] + _GAP_PX, 3), _PAPER, np.uint8)
    lines: list[Pixels] = []
    for left, right in rows:
        between = np.full((left.shape[0], _GAP_PX, 3), _PAPER, np.uint8)
        lines += [np.asarray(np.hstack([left, between, right]), np.uint8), gap]
    return np.asarray(np.vstack(lines), np.uint8)


def write(
    key: Key, matches: Sequence[Match], photos: Mapping[str, Mapping[str, Pixels]], folder: Path, *, thumbnails: bool
) -> Path:
    """Paint, write the sheets and the questions into `folder`, and the key beside it; gives the key's path."""
    painters = {painter.word: painter for match in matches for painter in (match.first, match.second)}
    painted = {
        (word, name): painter.paint(photos[name])
        for word, painter in painters.items()
        for name in {match.photos for match in matches if word in (match.first.word, match.second.word)}
    }
    folder.mkdir(parents=True, exist_ok=True)
    for pair in key.pairs:
        a, b = (painted[word, pair.photos][pair.photo] for word in (pair.a, pair.b))
        paintings = [painters[word].painting for word in (pair.a, pair.b)]
        shown = sheet(
            photos[pair.photos][pair.photo],
            a,
            b,
            painting=None if thumbnails else _common(paintings),
            thumbnails=[read_bgr(path) for path in paintings if path is not None] if thumbnails else (),
        )
        cv2.imwrite(str(folder / f"{pair.id}.png"), shown)
    (folder / "questions.txt").write_text(_questions(key, thumbnails=thumbnails), "utf-8")
    path = folder.with_name(f"{folder.name}.key.json")
    path.write_text(json.dumps(asdict(key), indent=1, ensure_ascii=False) + "\n", "utf-8")
    return path


def _common(paintings: Sequence[Path | None]) -> Pixels | None:
    """The painting that both sides paint after; None if they differ, since either would favour its own side."""
    first, second = paintings
    return read_bgr(first) if first is not None and first == second else None


def _questions(key: Key, *, thumbnails: bool) -> str:
    has_faces = any(pair.photos == "portraits" for pair in key.pairs)
    return _QUESTIONS.format(
        q1=_Q1_THUMBNAILS if thumbnails else _Q1,
        faces=_FACES if has_faces else "",
        heading="judge,pair,q1,q2" + (",whole_a,whole_b" if has_faces else ""),
    )


def _labelled(picture: Pixels, label: str) -> Pixels:
    strip = np.full((_LABEL_PX, picture.shape[1], 3), _PAPER, np.uint8)
    cv2.putText(strip, label, (6, 27), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (0, 0, 0), 2, cv2.LINE_AA)
    return np.asarray(np.vstack([strip, cv2.resize(picture, _TILE, interpolation=cv2.INTER_AREA)]), np.uint8)


def whole(picture: Pixels, size: tuple[int, int], *, on_paper: bool = True) -> Pixels:
    """The whole picture as large as it fits into `size` (width, height), centred on paper of that size if wanted."""
    scale = min(size[0] / picture.shape[1], size[1] / picture.shape[0])
    width, height = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)
    if not on_paper:
        return scaled
    page = np.full((size[1], size[0], 3), _PAPER, np.uint8)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    page[top : top + height, left : left + width] = scaled
    return page


def _centred(thumbnail: Pixels) -> Pixels:
    page = np.full((thumbnail.shape[0], _TILE[0], 3), _PAPER, np.uint8)
    left = (_TILE[0] - thumbnail.shape[1]) // 2
    page[:, left : left + thumbnail.shape[1]] = thumbnail
    return page
