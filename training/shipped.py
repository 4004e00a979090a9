"""The styles that ship: which painting, and how long each is trained. `make styles` makes them all anew.

All descend from the first one, so that any two can be mixed: the mean of two weights files is a style between them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.cards import Origin, install
from training.config import TrainingConfig
from training.download import fetch
from training.train import MATERIALS, OUT, Report, train

_PUBLIC_DOMAIN = "public domain"
_GCOMPRIS, _OPENCV = "Debian gcompris-qt-data 3.1", "Debian opencv-doc 4.6.0"
_VAN_GOGH, _HOKUSAI = "Vincent van Gogh", "Katsushika Hokusai"


@dataclass(frozen=True, slots=True)
class Shipped:
    """A shipped style: file among the materials' paintings, what it is, its recipe."""

    file: str
    origin: Origin
    config: TrainingConfig = field(default_factory=TrainingConfig)


# Prints are flat areas and contours; asked for as much style as a canvas of strokes, they get foam in every sky.
_PRINT = TrainingConfig(style=5.0, calm=60.0)


#: The parent first.
SHIPPED: dict[str, Shipped] = {
    "starry": Shipped("starry_night.png", Origin("The Starry Night", _VAN_GOGH, "1889", _PUBLIC_DOMAIN, _OPENCV)),
    "wave": Shipped(
        "GreatWave.png", Origin("The Great Wave off Kanagawa", _HOKUSAI, "1831", _PUBLIC_DOMAIN, _GCOMPRIS), _PRINT
    ),
    "cafe": Shipped("Gogh4.png", Origin("Café Terrace at Night", _VAN_GOGH, "1888", _PUBLIC_DOMAIN, _GCOMPRIS)),
    "auvers": Shipped(
        "gogh_auvert.png", Origin("Street in Auvers-sur-Oise", _VAN_GOGH, "1890", _PUBLIC_DOMAIN, _GCOMPRIS)
    ),
    "poppies": Shipped(
        "HokusaiPoppies.png", Origin("Poppies", _HOKUSAI, "about 1833", _PUBLIC_DOMAIN, _GCOMPRIS), _PRINT
    ),
    "summertime": Shipped(
        "cassat_summertime.png", Origin("Summertime", "Mary Cassatt", "1894", _PUBLIC_DOMAIN, _GCOMPRIS)
    ),
}
PARENT = next(iter(SHIPPED))
PARENT_ITERATIONS, ITERATIONS = 1200, 400


def train_shipped(
    weights: Path, *, materials: Path = MATERIALS, out: Path = OUT, progress: Report | None = None
) -> None:
    """Train and install every shipped style, the parent first. One that was begun continues where it stopped."""
    if not (materials / "photos").is_dir():
        fetch(materials)
    for name, style in SHIPPED.items():
        painting = materials / "paintings" / style.file
        trained = train(
            painting,
            name=name,
            config=style.config,
            iterations=PARENT_ITERATIONS if name == PARENT else ITERATIONS,
            resume=(out / f"{name}.pt").exists(),
            parent=None if name == PARENT else weights / f"{PARENT}.safetensors",
            materials=materials,
            out=out,
            progress=progress,
        )
        install(trained, painting, weights, origin=style.origin)
