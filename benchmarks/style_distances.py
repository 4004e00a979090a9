"""Each painter's distance from the painting and from the photos, by the independent judge; medians over the photos."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.complaints import shown_size
from benchmarks.independent import Judge, Seen, content_distance, product, style_distance
from benchmarks.pair_painters import SLOW, Painter, painter_of, painting_of
from benchmarks.style_measures import Pixels

log = logging.getLogger(__name__)

#: What shipped on 2026-11-30, the row that every later one is compared with.
OLD = "474ef02"
ROWS = ("shipped", f"commit:{OLD}", "lite-of", "slow")


@dataclass(frozen=True, slots=True)
class Distance:
    """One painter on one painting: medians over `photos` photos. `halves`: style distance between the painting's own
    two halves."""

    painter: str
    style: str
    style_distance: float
    halves: float
    content_distance: float
    product: float
    photos: int


def painters_of(style: str, materials: Path, rows: Container[str] = ROWS) -> list[Painter]:
    """Of `ROWS` those wanted; slow optimisation only where it has been run."""
    words = [f"{row}:{style}" for row in ROWS if row in rows]
    has_slow = any((SLOW / style).glob("*.png"))
    return [painter_of(word, materials) for word in words if has_slow or not word.startswith("slow:")]


def measure(
    painters: Mapping[str, Sequence[Painter]], photos: Mapping[str, Pixels], judge: Judge, materials: Path
) -> Iterator[Distance]:
    """A row for each painter of each style; the photo untouched comes first, since it has all of its content."""
    seen = {name: judge.look(photo) for name, photo in photos.items()}
    for style, of_style in painters.items():
        shown = shown_size(painting_of(style, materials))
        wanted, halves = judge.look(shown), judge.floor(shown)
        yield _row("the photo", style, list(seen.values()), list(seen.values()), (wanted, halves))
        for painter in of_style:
            made = painter.paint(_has(painter, photos))
            looks = [judge.look(picture) for picture in made.values()]
            row = _row(painter.word.rpartition(":")[0], style, looks, [seen[name] for name in made], (wanted, halves))
            log.info("%s", row)
            yield row


def _has(painter: Painter, photos: Mapping[str, Pixels]) -> Mapping[str, Pixels]:
    """Slow optimisation has painted a few of the photos only."""
    kind, _, style = painter.word.partition(":")
    if kind != "slow":
        return photos
    return {name: photo for name, photo in photos.items() if (SLOW / style / f"{name}.png").exists()}


def _row(
    painter: str, style: str, looks: Sequence[Seen], photos: Sequence[Seen], wanted: tuple[Seen, float]
) -> Distance:
    styles = [style_distance(each.style, wanted[0].style) for each in looks]
    contents = [content_distance(each.content, photo.content) for each, photo in zip(looks, photos, strict=True)]
    products = [product(*both) for both in zip(styles, contents, strict=True)]
    return Distance(painter, style, median(styles), wanted[1], median(contents), median(products), len(looks))


def table(rows: Iterable[Mapping[str, float | str]]) -> str:
    """The rows (fields of `Distance`) as Markdown."""
    heads = [
        "painter",
        "style",
        "style distance",
        "between the painting's halves",
        "content distance",
        "product",
        "photos",
    ]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for row in rows:
        figures = [f"{row[name]:.3f}" for name in ("style_distance", "halves", "content_distance", "product")]
        lines.append(f"| {row['painter']} | {row['style']} | {' | '.join(figures)} | {row['photos']} |")
    return "\n".join(lines) + "\n"
