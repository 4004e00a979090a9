"""`train`: one painting in; checkpoints that survive Ctrl-C and kill -9, contact sheets, and a folded network out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pipeline.errors import UsageError
from training.backbone import load_backbone
from training.losses import Terms
from training.photos import PhotoSet, list_photos, read_picture, resized
from training.recipe import Recipe
from training.run import Run
from training.sheet import PHOTOS_ON_A_SHEET, write_sheet
from workers.network import Widths, load, save

SMALLEST_PAINTING_PX = 256
OUT = Path("var/training")
MATERIALS = OUT / "materials"
# Steps by which the speed is measured; the first is slower and not counted.
_TIMED_STEPS = 10
_CHECKPOINT_EVERY_S = 60.0
_SHEET_EVERY_S = 180.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands; `sheet` is set when one was just written."""

    iteration: int
    iterations: int
    eta_s: float
    terms: Terms
    sheet: Path | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """What a finished run left behind."""

    name: str
    weights: Path
    checkpoint: Path
    iterations: int
    minutes: float
    recipe: Recipe


Report = Callable[[Progress], None]


def train(  # noqa: PLR0913 - each is an option of `painter train`
    painting: Path,
    *,
    name: str,
    photos: Path | None = None,
    minutes: float = 20.0,
    iterations: int | None = None,
    size: int | None = None,
    recipe: Recipe | None = None,
    resume: bool = False,
    start: Path | None = None,
    materials: Path = MATERIALS,
    out: Path = OUT,
    progress: Report | None = None,
) -> Trained:
    """Train `name` from one picture; leaves `out/name.pt`, `out/name.safetensors` and `out/name-<iteration>.png`.

    `photos` is a folder of pictures to paint, of which some are held back for the sheets; without it those of
    `materials` serve. `minutes` becomes a number of iterations by the speed of the first ones and stays so, that a
    resumed run follows the same schedule; `iterations` says it outright. `size` is the crop in pixels. `start` is the
    `.safetensors` of another style to begin with: strokes come sooner.
    Ctrl-C passes through after a checkpoint. Raises UsageError for a bad painting, too few photos, nothing to resume.
    """
    checkpoint = out / f"{name}.pt"
    state = _read_checkpoint(checkpoint) if resume else None
    recipe = _recipe_of(state) if state else recipe or Recipe()
    if size is not None and state is None:
        recipe = replace(recipe, crop_px=size)
    if start is not None and state is None:
        recipe = replace(recipe, start=start.stem)
    picture = read_painting(painting, short_side_px=recipe.painting_px)
    train_on, held_out = _split_photos(photos, materials)
    run = Run(recipe, picture, PhotoSet(train_on), load_backbone(materials / "vgg16.safetensors"))
    out.mkdir(parents=True, exist_ok=True)
    if state is None:
        if start is not None:
            run.start_from(load(start))
        run.warm_up()
        run.iterations = iterations or _iterations_in(run, minutes)
    else:
        run.restore(state)
        run.iterations = iterations or run.iterations
    try:
        _loop(run, out / name, held_out, progress or (lambda _: None))
    finally:
        _write_checkpoint(run, checkpoint)
    weights = out / f"{name}.safetensors"
    save(run.finished(), weights)
    return Trained(name, weights, checkpoint, run.iteration, run.seconds / 60.0, recipe)


def read_painting(path: Path, *, short_side_px: int = 0) -> Tensor:
    """1 x 3 x H x W, RGB 0..1; raises UsageError if it is no image or under 256 px on its short side."""
    if not path.is_file():
        raise UsageError(f"there is no painting at {path}")
    picture = read_picture(path)
    if min(picture.shape[:2]) < SMALLEST_PAINTING_PX:
        size = f"{picture.shape[1]}×{picture.shape[0]}"
        raise UsageError(
            f"{path.name} is {size}: its short side must be at least {SMALLEST_PAINTING_PX} px, better 450"
        )
    if short_side_px:
        picture = np.asarray(resized(Image.fromarray(picture), short_side_px))
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255.0


def _split_photos(folder: Path | None, materials: Path) -> tuple[list[Path], list[Path]]:
    """Photos to train on and those for the sheets."""
    if folder is None:
        if not (materials / "photos").is_dir():
            raise UsageError(f"no photos in {materials}: run `make materials`, or give a folder with --photos")
        held_out = list_photos(materials / "photos" / "held-out")
        return list_photos(materials / "photos" / "train"), held_out[:: max(1, len(held_out) // PHOTOS_ON_A_SHEET)]
    photos = list_photos(folder)
    held_out = photos[:: max(3, len(photos) // PHOTOS_ON_A_SHEET)]
    return [path for path in photos if path not in held_out], held_out


def _iterations_in(run: Run, minutes: float) -> int:
    """How many iterations fit, by the speed of the first few, which count."""
    run.iterations = 1_000_000
    run.step()
    started = time.monotonic()
    for _ in range(_TIMED_STEPS):
        run.step()
    spent_s = time.monotonic() - started
    run.seconds += spent_s
    return max(run.iteration + 1, round(minutes * 60.0 * _TIMED_STEPS / spent_s))


def _loop(run: Run, stem: Path, held_out: list[Path], report: Report) -> None:
    first, started = run.iteration, time.monotonic()
    mark = saved = shown = started
    while run.iteration < run.iterations:
        terms = run.step()
        now = time.monotonic()
        run.seconds, mark = run.seconds + now - mark, now
        if now - saved > _CHECKPOINT_EVERY_S:
            _write_checkpoint(run, stem.with_suffix(".pt"))
            saved = now
        sheet = None
        if now - shown > _SHEET_EVERY_S or run.iteration == run.iterations:
            sheet = write_sheet(run.network, held_out, stem.with_name(f"{stem.name}-{run.iteration:05d}.png"))
            shown = now
        each_s = (now - started) / (run.iteration - first)
        report(Progress(run.iteration, run.iterations, each_s * (run.iterations - run.iteration), terms, sheet))


def _write_checkpoint(run: Run, path: Path) -> None:
    """By rename, so that a kill leaves the previous one whole."""
    part = path.with_name(path.name + ".part")
    torch.save(run.state(), part)
    part.replace(path)


def _read_checkpoint(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise UsageError(f"nothing to resume: there is no {path}")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _recipe_of(state: dict[str, Any]) -> Recipe:
    # Runs begun before there were these go on without them.
    return Recipe(
        **{"detail": 0.0, "painted_sharpen": 0.0, **state["recipe"], "widths": Widths(**state["recipe"]["widths"])}
    )
