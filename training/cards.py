"""A style's card: what it was made from and how, and what was measured. A measure nobody took is absent.

`install` puts a trained style where the workers find it: weights, export, card, thumbnail.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from training.export import Exported, export
from training.train import Trained
from workers.network import load

_THUMBNAIL_PX = 256


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of a painting; empty where it is not."""

    painting: str = ""
    painter: str = ""
    year: str = ""
    licence: str = ""
    source: str = ""


def install(trained: Trained, painting: Path, folder: Path, *, origin: Origin | None = None) -> Exported:
    """Write `<name>.safetensors`, `.xml`, `.bin`, `.json` and `.jpg` to `folder`."""
    files = export(trained.weights, name=trained.name, folder=folder)
    _write_thumbnail(painting, folder / f"{trained.name}.jpg")
    path = folder / f"{trained.name}.json"
    card = card_of(trained, origin or Origin(painting=painting.stem))
    card["processing"] = load(files.safetensors).processing.metadata()
    write_card(path, card)
    return files


def card_of(trained: Trained, origin: Origin) -> dict[str, Any]:
    """The card as it is written, without measures."""
    config = {key: value for key, value in asdict(trained.config).items() if key not in {"seed", "widths"}}
    return {
        "name": trained.name,
        **asdict(origin),
        "network": asdict(trained.config.widths),
        "config": config,
        "seed": trained.config.seed,
        "iterations": trained.iterations,
        "minutes": round(trained.minutes, 1),
        "date": datetime.now(UTC).date().isoformat(),
    }


def add_measures(path: Path, measures: dict[str, float]) -> None:
    """Put measured figures onto a card that exists."""
    card = json.loads(path.read_text(encoding="utf-8"))
    card["measures"] = {**card.get("measures", {}), **measures}
    write_card(path, card)


def write_card(path: Path, card: dict[str, Any]) -> None:
    """By rename: a worker may be reading it."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def _write_thumbnail(painting: Path, path: Path) -> None:
    with Image.open(painting) as image:
        square = ImageOps.fit(image.convert("RGB"), (_THUMBNAIL_PX, _THUMBNAIL_PX), Image.Resampling.LANCZOS)
    square.save(path, quality=82, optimize=True)
