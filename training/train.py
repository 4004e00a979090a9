"""`train`: one painting in; checkpoints that survive Ctrl-C and kill -9, contact sheets, and a folded network out."""

from __future__ import annotations

import hashlib
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
from training.config import TrainingConfig
from training.losses import Terms
from training.photos import list_photos, read_picture, resized
from training.scenes import SceneSet
from training.sheet import PHOTOS_ON_A_SHEET, write_sheet
from training.trainer import Trainer
from workers.network import Widths, load, save

SMALLEST_PAINTING_PX = 256
OUT = Path("var/training")
MATERIALS = OUT / "materials"
_CHECKPOINT_EVERY_S = 60.0
# The first sheet after a minute, the others every three.
_FIRST_SHEET_S, _SHEET_EVERY_S = 60.0, 180.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands; `share` is 0 to 1, `sheet` is set when one was just written."""

    iteration: int
    share: float
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
    config: TrainingConfig


Report = Callable[[Progress], None]


def train(  # noqa: PLR0913 - each is an option of `painter train`
    painting: Path,
    *,
    name: str,
    photos: Path | None = None,
    minutes: float = 20.0,
    iterations: int | None = None,
    config: TrainingConfig | None = None,
    resume: bool = False,
    parent: Path | None = None,
    materials: Path = MATERIALS,
    out: Path = OUT,
    progress: Report | None = None,
) -> Trained:
    """Train `name` from one picture; leaves `out/name.pt`, `out/name.safetensors` and `out/name-<iteration>.png`.

    `photos` is a folder of pictures to practise on, of which some are held back for the sheets; without it those of
    `materials` serve. The run ends after `minutes` of training, or after `iterations` where those are given (then a
    resumed run equals one never stopped). `parent` is the `.safetensors` of another style to begin with.
    Ctrl-C passes through after a checkpoint. Raises UsageError for a bad painting, too few photos, nothing to resume,
    or a checkpoint of another painting.
    """
    checkpoint = out / f"{name}.pt"
    picture, mark = read_painting(painting), _fingerprint(painting)
    state = _read_checkpoint(checkpoint, mark) if resume else None
    config = _config_of(state) if state else config or TrainingConfig()
    if parent is not None and state is None:
        config = replace(config, parent=parent.stem)
    train_on, held_out = _split_photos(photos, materials)
    scenes = SceneSet(train_on, contrast=config.contrast)
    run = Trainer(config, at_size(picture, config.painting_px), scenes, load_backbone(materials / "vgg16.safetensors"))
    out.mkdir(parents=True, exist_ok=True)
    if state is None and parent is not None:
        run.start_from(load(parent))
    elif state is None:
        run.warm_up()
    else:
        run.restore(state)
    clock = _Clock(run, minutes=minutes, iterations=iterations or 0)
    try:
        _loop(run, clock, out / name, held_out, mark, progress or (lambda _: None))
    finally:
        _write_checkpoint(run, checkpoint, mark)
    weights = out / f"{name}.safetensors"
    save(run.finished(), weights)
    return Trained(name, weights, checkpoint, run.iteration, run.seconds / 60.0, config)


def read_painting(path: Path) -> Tensor:
    """1 x 3 x H x W, RGB 0..1; raises UsageError if it is no image or under 256 px on its short side."""
    if not path.is_file():
        raise UsageError(f"there is no painting at {path}")
    picture = read_picture(path)
    if min(picture.shape[:2]) < SMALLEST_PAINTING_PX:
        size = f"{picture.shape[1]}×{picture.shape[0]}"
        raise UsageError(
            f"{path.name} is {size}: its short side must be at least {SMALLEST_PAINTING_PX} px, better 450"
        )
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255.0


def at_size(painting: Tensor, short_side_px: int) -> Tensor:
    """The painting scaled to a short side."""
    levels = (painting[0].permute(1, 2, 0).numpy() * 255.0).round().astype(np.uint8)
    scaled = np.asarray(resized(Image.fromarray(levels), short_side_px))
    return torch.from_numpy(scaled.copy()).permute(2, 0, 1)[None].float() / 255.0


class _Clock:
    """Ends a run by time or by iterations, and keeps `run.iterations`, on which its schedule rests, up to date."""

    def __init__(self, run: Trainer, *, minutes: float, iterations: int) -> None:
        self._run, self._minutes, self._fixed = run, minutes, iterations
        run.iterations = iterations

    def is_over(self) -> bool:
        return self._share() >= 1.0

    def tick(self) -> tuple[float, float]:
        """After a step: give the share done and the seconds left."""
        run, share = self._run, self._share()
        if not self._fixed:
            run.iterations = max(run.iteration + 1, round(run.iteration / max(share, 1e-6)))
        return share, run.seconds / max(run.iteration, 1) * max(run.iterations - run.iteration, 0)

    def _share(self) -> float:
        if self._fixed:
            return self._run.iteration / self._fixed
        return self._run.seconds / (self._minutes * 60.0)


def _loop(run: Trainer, clock: _Clock, stem: Path, held_out: list[Path], mark: str, report: Report) -> None:
    mark_s = saved_s = time.monotonic()
    sheet_due_s = mark_s + _FIRST_SHEET_S
    while not clock.is_over():
        terms = run.step()
        now_s = time.monotonic()
        run.seconds, mark_s = run.seconds + now_s - mark_s, now_s
        share, eta_s = clock.tick()
        if now_s - saved_s > _CHECKPOINT_EVERY_S:
            _write_checkpoint(run, stem.with_suffix(".pt"), mark)
            saved_s = now_s
        sheet = None
        if now_s > sheet_due_s or clock.is_over():
            sheet = write_sheet(run.network, held_out, stem.with_name(f"{stem.name}-{run.iteration:05d}.png"))
            sheet_due_s = now_s + _SHEET_EVERY_S
        report(Progress(run.iteration, min(share, 1.0), eta_s, terms, sheet))


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


def _fingerprint(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write_checkpoint(run: Trainer, path: Path, mark: str) -> None:
    """By rename, so that a kill leaves the previous one whole."""
    part = path.with_name(path.name + ".part")
    torch.save({**run.state(), "painting": mark}, part)
    part.replace(path)


def _read_checkpoint(path: Path, mark: str) -> dict[str, Any]:
    if not path.exists():
        raise UsageError(f"nothing to resume: there is no {path}")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if state.get("painting") != mark:
        raise UsageError(f"{path} is of another painting: give that one, or train without --resume")
    return state


def _config_of(state: dict[str, Any]) -> TrainingConfig:
    return TrainingConfig(**{**state["config"], "widths": Widths(**state["config"]["widths"])})
