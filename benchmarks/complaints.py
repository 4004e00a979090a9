"""A row of figures a painter for what people complain about, beside the painting's own, in a minute.

`python -m benchmarks.complaints shipped:wave folder:DIR:wave lite-of:wave` prints the table. Painters are named as for
`benchmarks.pairs`; `python -m benchmarks.pairs photos DIR --photos choosing dark` writes what a folder must hold.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import complaint_measures as measures
from benchmarks.judged_photos import BAR_PX, FADE_STEPS, SETS, dark
from benchmarks.pair_painters import Painter, painter_of, read_bgr
from benchmarks.pair_sheets import whole
from benchmarks.style_measures import Pixels
from pipeline.errors import UsageError
from training.train import MATERIALS

#: Heading and what is wanted, in the order of `Complaints`.
_COLUMNS: Mapping[str, tuple[str, str]] = {
    "blots": ("blots, of the painting's", "0.7–1.2"),
    "length": ("stroke length, of the painting's", "1"),
    "width": ("stroke width, of the painting's", "1"),
    "colours": ("colours, of the painting's", "1"),
    "border": ("border lines, of 255", "≤ 6"),
    "lattice_2": ("lattice 2 px", "≤ 1.1"),
    "lattice_4": ("4 px", "≤ 1.1"),
    "lattice_8": ("8 px", "≤ 1.1"),
    "black": ("black frame's luma", "≤ 24"),
    "fade": ("a fade's largest step back", "0"),
    "bars": ("letterbox bars' luma", "≤ 24"),
}


@dataclass(frozen=True, slots=True)
class Complaints:
    """One painter's figures. `blots`: variance of luma in the band of 9 to 33 px where the photo is flat, over the same
    in the painting's flat areas; `length`, `width`, `colours` likewise over the painting's. None: not measured."""

    blots: float | None
    length: float | None
    width: float | None
    colours: float | None
    border: float
    lattice_2: float
    lattice_4: float
    lattice_8: float
    black: float | None = None
    fade: float | None = None
    bars: float | None = None


def complaints(
    photos: Mapping[str, Pixels],
    painted: Mapping[str, Pixels],
    painting: Pixels | None,
    dark_ones: Mapping[str, Pixels],
) -> Complaints:
    """Measure what a painter made of `photos` (same names) and of the dark frames (empty: not measured)."""
    own = None if painting is None else _of_painting(painting)
    strokes = [measures.strokes(picture) for picture in painted.values()]
    found = {
        "blots": _blots(photos, painted),
        "length": float(np.nanmedian([each.length_px for each in strokes])),
        "width": float(np.nanmedian([each.width_px for each in strokes])),
        "colours": float(np.median([measures.colour_variety(picture) for picture in painted.values()])),
    }
    shares = {name: None if own is None or value is None else value / own[name] for name, value in found.items()}
    return Complaints(
        blots=shares["blots"],
        length=shares["length"],
        width=shares["width"],
        colours=shares["colours"],
        border=measures.border_lines([(photos[name], painted[name]) for name in photos]),
        lattice_2=measures.lattice(list(painted.values()), 2),
        lattice_4=measures.lattice(list(painted.values()), 4),
        lattice_8=measures.lattice(list(painted.values()), 8),
        **(_darkness(dark_ones) if dark_ones else {}),
    )


def _of_painting(painting: Pixels) -> dict[str, float]:
    strokes = measures.strokes(painting)
    return {
        "blots": measures.blot_variance(painting, measures.flat_of_painting(painting)),
        "length": strokes.length_px,
        "width": strokes.width_px,
        "colours": measures.colour_variety(painting),
    }


def _blots(photos: Mapping[str, Pixels], painted: Mapping[str, Pixels]) -> float | None:
    found = [
        measures.blot_variance(painted[name], where)
        for name, photo in photos.items()
        if (where := measures.flat_of_photo(photo)) is not None
    ]
    return float(np.median(found)) if found else None


def _darkness(painted: Mapping[str, Pixels]) -> dict[str, float]:
    """`painted`: what a painter made of `judged_photos.dark`."""
    fade = [float(measures.luma(painted[f"fade-{step:02}"]).mean()) for step in range(FADE_STEPS)]
    boxed = measures.luma(painted["letterbox"])
    return {
        "black": float(measures.luma(painted["black"]).mean()),
        "fade": max(0.0, *(before - after for before, after in itertools.pairwise(fade))),
        "bars": float(np.concatenate([boxed[:BAR_PX], boxed[-BAR_PX:]]).mean()),
    }


def shown_size(painting: Path) -> Pixels:
    """A painting as sheets show it: the whole of it within 640×480, without the paper around it."""
    return whole(read_bgr(painting), (640, 480), on_paper=False)


def table(rows: Iterable[tuple[str, Complaints]]) -> str:
    """Markdown, a line a painter, the wanted values first."""
    heads = ["painter", *(heading for heading, _ in _COLUMNS.values())]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    lines.append(f"| wanted | {' | '.join(wanted for _, wanted in _COLUMNS.values())} |")
    for word, row in rows:
        lines.append(f"| {word} | {' | '.join(_cell(getattr(row, name)) for name in _COLUMNS)} |")
    return "\n".join(lines) + "\n"


def _cell(value: float | None) -> str:
    return "" if value is None or np.isnan(value) else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def measure(painter: Painter, photos: Mapping[str, Pixels], dark_ones: Mapping[str, Pixels]) -> Complaints:
    """Paint and measure; a folder without the dark frames is measured without them."""
    painted = painter.paint(photos)
    try:
        black = painter.paint(dark_ones)
    except UsageError:
        black = {}
    return complaints(photos, painted, None if painter.painting is None else shown_size(painter.painting), black)


def main(words: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.complaints", description=__doc__)
    parser.add_argument(
        "painters", nargs="+", help="as for benchmarks.pairs: shipped:wave, folder:DIR:wave, lite-of:wave …"
    )
    parser.add_argument("--photos", choices=SETS, default="choosing")
    parser.add_argument("--materials", type=Path, default=MATERIALS)
    given = parser.parse_args(words)
    try:
        painters = [painter_of(word, given.materials) for word in given.painters]
        photos = SETS[given.photos](given.materials)
        dark_ones = dark(given.materials)
        print(table((each.word, measure(each, photos, dark_ones)) for each in painters), end="")  # noqa: T201
    except UsageError as error:
        print(f"complaints: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
