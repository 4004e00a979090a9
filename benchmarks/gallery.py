"""The picture in the README: photos painted in every shipped style, each style under its painting.

`python -m benchmarks.gallery PHOTO... -o docs/styles.jpg`
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.style_measures import Pixels
from pipeline.protocol.frame import Look
from training.photos import read_picture
from training.sheet import fitted
from workers.styles import list_styles, load_engine
from workers.stylize import stylize

_PAINTED = (640, 480)
_CELL = (400, 300)
_GAP_PX = 6
_QUALITY = 86


def gallery(photos: Sequence[Path]) -> Image.Image:
    """First row: the paintings. Then a row for each photo: the photo, and its painting in each style."""
    styles = list_styles()
    engines = [load_engine(style, "cpu", 1) for style in styles]
    paper = np.full((_CELL[1], _CELL[0], 3), 255, np.uint8)
    rows = [[paper, *(_cell(read_picture(_painting_of(style.export))) for style in styles)]]
    for photo in photos:
        source = fitted(read_picture(photo), _PAINTED)
        bgr = np.ascontiguousarray(source[..., ::-1])
        painted = (stylize(engine, bgr, Look(), tile_pixels=1 << 30)[..., ::-1] for engine in engines)
        rows.append([_cell(source), *(_cell(picture) for picture in painted)])
    return _compose(rows)


def _painting_of(export: Path | None) -> Path:
    assert export is not None
    return export.with_suffix(".jpg")


def _cell(picture: Pixels) -> Pixels:
    return fitted(np.ascontiguousarray(picture), _CELL)


def _compose(rows: Sequence[Sequence[Pixels]]) -> Image.Image:
    width, height = (side + _GAP_PX for side in _CELL)
    page = Image.new("RGB", (width * len(rows[0]) - _GAP_PX, height * len(rows) - _GAP_PX), "white")
    for down, row in enumerate(rows):
        for along, picture in enumerate(row):
            page.paste(Image.fromarray(picture), (along * width, down * height))
    return page


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/styles.jpg"))
    given = parser.parse_args()
    gallery(given.photos).save(given.output, quality=_QUALITY, optimize=True)
