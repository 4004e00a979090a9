"""The pictures that painters are compared on, in sets: some to choose between training recipes, others for the verdict.

A recipe that was chosen by looking at a photo has seen it. So the verdict's pictures are painted once a release, and
never looked at in between. None of them is trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np

from benchmarks.style_measures import Pixels
from pipeline.errors import UsageError
from training.download import HELD_OUT
from training.photos import SUFFIXES, read_picture
from training.sheet import fitted

SIZE = (640, 480)
#: Eight held-out photos. The first six have been looked at through every training so far.
CHOOSING = (
    "astronaut", "messi5", "picosdeeuropa_by_Aitzol_Berasategi", "cincinnati-bridge", "Kite", "horse", "home",
    "pexels-6830376",
)  # fmt: skip
#: The other twelve: for the verdict alone.
VERDICT = tuple(sorted(HELD_OUT - set(CHOOSING)))
FILM_FRAMES: Mapping[str, tuple[int, ...]] = {
    "bigbuckbunny": (0, 24, 48, 72, 96, 120),
    "cup": (10, 120),
    "box": (10, 120),
}

#: Of the frames that must stay dark: steps from black to the whole photo; rows of a letterbox bar, above and below.
FADE_STEPS, BAR_PX = 13, 60


def choosing(materials: Path) -> dict[str, Pixels]:
    """Eight held-out photos by name, H×W×3 uint8 BGR at 640×480."""
    return _held_out(materials, CHOOSING)


def verdict(materials: Path) -> dict[str, Pixels]:
    """The other twelve."""
    return _held_out(materials, VERDICT)


def portraits(materials: Path) -> dict[str, Pixels]:
    """Faces, below `portraits`."""
    folder = materials / "portraits"
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise UsageError(f"{folder} holds no pictures; python -m benchmarks.portraits fetches them")
    return {path.stem: _bgr(path) for path in paths}


def films(materials: Path, demo: Path = Path("var/demo")) -> dict[str, Pixels]:
    """Ten frames of three films, named <film>-<frame>; `make demo` fetches the first film."""
    found: dict[str, Pixels] = {}
    for film, numbers in FILM_FRAMES.items():
        path = next(
            (path for path in (demo / f"{film}.mp4", materials / "clips" / f"{film}.mp4") if path.exists()), None
        )
        if path is None:
            raise UsageError(
                f"{film}.mp4 is neither in {demo} (make demo) nor in {materials / 'clips'} (make materials)"
            )
        found |= {f"{film}-{number}": frame for number, frame in _frames(path, numbers).items()}
    return found


def dark(materials: Path) -> dict[str, Pixels]:
    """Frames that must stay dark: black, a photo that fades in from black, a photo between letterbox bars."""
    photo = _held_out(materials, CHOOSING[:1])[CHOOSING[0]]
    found = {"black": np.zeros_like(photo)}
    for step in range(FADE_STEPS):
        found[f"fade-{step:02}"] = np.asarray((photo * (step / (FADE_STEPS - 1))).round(), np.uint8)
    boxed = np.zeros_like(photo)
    boxed[BAR_PX:-BAR_PX] = photo[BAR_PX:-BAR_PX]
    return found | {"letterbox": boxed}


SETS: Mapping[str, Callable[[Path], dict[str, Pixels]]] = {
    "choosing": choosing,
    "verdict": verdict,
    "portraits": portraits,
    "films": films,
}


def _held_out(materials: Path, names: tuple[str, ...]) -> dict[str, Pixels]:
    folder = materials / "photos" / "held-out"
    # Files are called <package folder>-<name>.jpg.
    found = {name: next(iter(sorted(folder.glob(f"*-{name}.jpg"))), None) for name in names}
    if missing := [name for name, path in found.items() if path is None]:
        raise UsageError(f"{folder} lacks {', '.join(missing)}; make materials fetches them")
    return {name: _bgr(path) for name, path in found.items() if path is not None}


def _bgr(path: Path) -> Pixels:
    return np.ascontiguousarray(fitted(read_picture(path), SIZE)[..., ::-1])


def _frames(path: Path, numbers: tuple[int, ...]) -> dict[int, Pixels]:
    capture = cv2.VideoCapture(str(path))
    found: dict[int, Pixels] = {}
    for number in range(max(numbers) + 1):
        read, frame = capture.read()
        if not read:
            raise UsageError(f"{path} has {number} frames; frame {max(numbers)} is needed")
        if number in numbers:
            found[number] = np.ascontiguousarray(fitted(np.asarray(frame, np.uint8), SIZE))
    capture.release()
    return found
