"""The six styles that ship: which painting, how it is trained. `make styles` makes them all anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.cards import Origin, install
from training.materials import fetch
from training.recipe import Recipe
from training.train import MATERIALS, OUT, Report, train

_PUBLIC_DOMAIN = "public domain"
_GCOMPRIS, _OPENCV = "Debian gcompris-qt-data 3.1", "Debian opencv-doc 4.6.0"


@dataclass(frozen=True, slots=True)
class Shipped:
    """A shipped style: file among the materials' paintings, what it is, its recipe, and the style it begins with."""

    file: str
    origin: Origin
    recipe: Recipe = field(default_factory=Recipe)
    start: str = ""


SHIPPED: dict[str, Shipped] = {
    "starry": Shipped(
        "starry_night.png",
        Origin("The Starry Night", "Vincent van Gogh", "1889", _PUBLIC_DOMAIN, _OPENCV),
        Recipe(frozen_content=0.6, quiet=1500.0, freeze_at=0.5),
    ),
    "wave": Shipped(
        "GreatWave.png",
        Origin("The Great Wave off Kanagawa", "Katsushika Hokusai", "1831", _PUBLIC_DOMAIN, _GCOMPRIS),
        # With less content in the first half its foam covers faces.
        Recipe(content=3.0, frozen_content=1.0, quiet=1500.0, lattice=5000.0, freeze_at=0.5),
        start="starry",
    ),
    "cafe": Shipped(
        "Gogh4.png",
        Origin("Café Terrace at Night", "Vincent van Gogh", "1888", _PUBLIC_DOMAIN, _GCOMPRIS),
        start="starry",
    ),
    "auvers": Shipped(
        "gogh_auvert.png",
        Origin("Street in Auvers-sur-Oise", "Vincent van Gogh", "1890", _PUBLIC_DOMAIN, _GCOMPRIS),
        start="starry",
    ),
    "poppies": Shipped(
        "HokusaiPoppies.png",
        Origin("Poppies", "Katsushika Hokusai", "about 1833", _PUBLIC_DOMAIN, _GCOMPRIS),
        Recipe(vivid=2.0),
        start="wave",
    ),
    "summertime": Shipped(
        "cassat_summertime.png",
        Origin("Summertime", "Mary Cassatt", "1894", _PUBLIC_DOMAIN, _GCOMPRIS),
        Recipe(frozen_content=0.6, quiet=1500.0, freeze_at=0.5),
        start="starry",
    ),
}
ITERATIONS = 2800


def train_shipped(
    weights: Path, *, materials: Path = MATERIALS, out: Path = OUT, progress: Report | None = None
) -> None:
    """Train and install every shipped style, in an order in which the first lend the others their strokes.

    One that was begun goes on where it stopped. Hours on a CPU.
    """
    if not (materials / "photos").is_dir():
        fetch(materials)
    for name, style in SHIPPED.items():
        painting = materials / "paintings" / style.file
        trained = train(
            painting,
            name=name,
            recipe=style.recipe,
            iterations=ITERATIONS,
            resume=(out / f"{name}.pt").exists(),
            start=weights / f"{style.start}.safetensors" if style.start else None,
            materials=materials,
            out=out,
            progress=progress,
        )
        install(trained, painting, weights, origin=style.origin)
