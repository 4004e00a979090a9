"""The training loop: one painting in, a checkpoint that can be stopped at any moment, a folded network out.

Everything random is drawn from (seed, iteration), so a run resumed from its checkpoint equals one never stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.errors import UsageError
from training import losses
from training.backbone import Backbone, load_backbone
from training.photos import PhotoSet, list_photos, read_picture, resized
from training.recipe import Recipe
from training.shake import Shake
from training.sheet import write_sheet
from workers.network import StyleNetwork, Widths, save

SMALLEST_PAINTING_PX = 256
_CALIBRATION_ITERATIONS = 10
_CHECKPOINT_EVERY_S = 60.0
_SHEET_EVERY_S = 180.0
_RECALIBRATION_BATCHES = 24


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands."""

    iteration: int
    iterations: int
    eta_s: float
    terms: losses.Terms
    sheet: Path | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run left behind."""

    name: str
    weights: Path
    checkpoint: Path
    iterations: int
    minutes: float
    recipe: Recipe
    is_finished: bool


Report = Callable[[Progress], None]


def read_painting(path: Path, *, short_side_px: int = 0) -> Tensor:
    """1 x 3 x H x W, RGB 0..1; raises UsageError if it is no image or under 256 px on its short side."""
    if not path.is_file():
        raise UsageError(f"there is no painting at {path}")
    picture = read_picture(path)
    if min(picture.shape[:2]) < SMALLEST_PAINTING_PX:
        raise UsageError(
            f"{path.name} is {picture.shape[1]}x{picture.shape[0]}: its short side must be at least "
            f"{SMALLEST_PAINTING_PX} px, better 450"
        )
    if short_side_px:
        from PIL import Image

        picture = np.asarray(resized(Image.fromarray(picture), short_side_px))
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255.0


class Run:
    """One style in training: network, optimizer, counters, and the losses it is trained with."""

    def __init__(self, recipe: Recipe, painting: Tensor, photos: PhotoSet, backbone: Backbone) -> None:
        self.recipe, self.photos = recipe, photos
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.backbone = backbone.to(self.device)
        torch.manual_seed(recipe.seed)
        self.network = StyleNetwork(recipe.widths, normed=True).to(self.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=recipe.learning_rate)
        self.iteration, self.iterations, self.seconds = 0, 0, 0.0
        self.is_frozen = False
        self.wanted = losses.style_grams(self.backbone, painting.to(self.device))

    def warm_up(self) -> None:
        """Learn to give the photo back, so that the style starts from a picture and not from noise."""
        self.network.train()
        for step in range(self.recipe.warm_up):
            photo = self._crops(np.random.default_rng([self.recipe.seed, 1, step]), 64 if step < 75 else 128)
            loss = F.mse_loss(self.network(photo), photo)
            self._step(loss)

    def step(self) -> losses.Terms:
        """One iteration."""
        rng = np.random.default_rng([self.recipe.seed, 0, self.iteration])
        progress = self.iteration / max(1, self.iterations)
        if progress >= self.recipe.freeze_at and not self.is_frozen:
            self._freeze()
        self.network.train(not self.is_frozen)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate_at(progress)
        terms = self._learn(self._crops(rng, self.recipe.crop_px), rng)
        self.iteration += 1
        return terms

    def _learn(self, photo: Tensor, rng: np.random.Generator) -> losses.Terms:
        recipe, shake = self.recipe, Shake.draw(rng)
        shaken = shake.move(photo[:1])
        noise = torch.from_numpy(rng.standard_normal(shaken.shape, dtype=np.float32)).to(self.device)
        together = self.network(torch.cat([photo, (shaken + shake.noise * noise).clamp(0, 1)]))
        painted, painted_shaken = together[: len(photo)], together[len(photo) :]
        style, content = self._perceptual(painted, photo)
        quiet = losses.quiet_loss(painted, photo)
        inside = slice(shake.margin_px, -shake.margin_px)
        difference = (painted_shaken - shake.move(painted[:1]))[:, :, inside, inside]
        stability = difference.square().mean()
        self._step(
            recipe.style * style
            + recipe.content * content
            + recipe.variation * losses.variation_loss(painted)
            + recipe.quiet * quiet
            + recipe.stability * stability
            + recipe.overshoot * losses.range_loss(painted)
        )
        return losses.Terms(style.item(), content.item(), quiet.item(), stability.item())

    def _perceptual(self, painted: Tensor, photo: Tensor) -> tuple[Tensor, Tensor]:
        # bfloat16 halves the time of an iteration (0.55 against 1.05 s, two 192 px crops, one AVX-512 thread);
        # the Grams and differences themselves are taken in fp32.
        with torch.autocast(self.device.type, torch.bfloat16):
            with torch.no_grad():
                theirs = self.backbone(photo, (losses.CONTENT_LAYER,))
            ours = self.backbone(painted, tuple(losses.STYLE_LAYERS))
        return losses.style_loss(ours, self.wanted), losses.content_loss(ours, theirs)

    def _step(self, loss: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        # One unlucky crop must not throw the network into black (it does not come back from there).
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimizer.step()

    def _freeze(self) -> None:
        """Take the statistics anew over many crops, then keep them for the rest of the training."""
        norms = [module for module in self.network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        self.network.train()
        with torch.no_grad():
            for step in range(_RECALIBRATION_BATCHES):
                self.network(self._crops(np.random.default_rng([self.recipe.seed, 2, step]), self.recipe.crop_px))
        self.is_frozen = True

    def _crops(self, rng: np.random.Generator, size_px: int) -> Tensor:
        crops = self.photos.crops(rng, self.recipe.batch, size_px)
        return crops.to(self.device)

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs; tensors, numbers and strings only, so that it loads with `weights_only`."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "iteration": self.iteration,
            "iterations": self.iterations,
            "seconds": self.seconds,
            "is_frozen": self.is_frozen,
            "recipe": asdict(self.recipe),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.iteration, self.iterations = state["iteration"], state["iterations"]
        self.seconds, self.is_frozen = state["seconds"], state["is_frozen"]


def train(
    painting: Path,
    *,
    name: str,
    photos: Path,
    backbone: Path | None = None,
    minutes: float = 20.0,
    iterations: int | None = None,
    size: int | None = None,
    recipe: Recipe | None = None,
    resume: bool = False,
    out: Path = Path("var/training"),
    held_out: Path | None = None,
    progress: Report | None = None,
) -> Trained:
    """Train `name` from one picture; leaves `out/name.pt`, `out/name.safetensors` and contact sheets.

    `minutes` becomes a number of iterations by the speed of the first ones, kept in the checkpoint, so that a resumed
    run follows the same schedule. `size` is the crop in pixels. KeyboardInterrupt passes through after a checkpoint.
    Raises UsageError for a bad painting, too few photos, nothing to resume.
    """
    recipe = recipe or Recipe()
    checkpoint = out / f"{name}.pt"
    state: dict[str, Any] | None = None
    if resume:
        if not checkpoint.exists():
            raise UsageError(f"nothing to resume: there is no {checkpoint}")
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        recipe = Recipe(**{**state["recipe"], "widths": Widths(**state["recipe"]["widths"])})
    elif size is not None:
        recipe = replace(recipe, crop_px=size)
    picture = read_painting(painting, short_side_px=recipe.painting_px)
    run = Run(recipe, picture, PhotoSet(list_photos(photos)), load_backbone(backbone))
    out.mkdir(parents=True, exist_ok=True)
    if state is not None:
        run.restore(state)
    else:
        run.warm_up()
        run.iterations = iterations or _iterations_in(run, minutes)
    if iterations is not None:
        run.iterations = iterations
    try:
        _loop(run, name, out, held_out, progress or (lambda _: None))
    finally:
        write_checkpoint(run, checkpoint)
    save(run.network.eval().fold(), out / f"{name}.safetensors")
    return Trained(name, out / f"{name}.safetensors", checkpoint, run.iteration, run.seconds / 60, recipe, True)


def _iterations_in(run: Run, minutes: float) -> int:
    """How many iterations fit; measured on the first few, which count."""
    run.iterations = 1_000_000
    run.step()
    started = time.monotonic()
    for _ in range(_CALIBRATION_ITERATIONS):
        run.step()
    each_s = (time.monotonic() - started) / _CALIBRATION_ITERATIONS
    run.seconds += time.monotonic() - started
    return max(run.iteration + 1, round(minutes * 60 / each_s))


def _loop(run: Run, name: str, out: Path, held_out: Path | None, report: Report) -> None:
    started = mark = time.monotonic()
    saved = shown = started
    first = run.iteration
    while run.iteration < run.iterations:
        terms = run.step()
        now = time.monotonic()
        run.seconds, mark = run.seconds + now - mark, now
        sheet = None
        if now - saved > _CHECKPOINT_EVERY_S:
            write_checkpoint(run, out / f"{name}.pt")
            saved = now
        if held_out is not None and (now - shown > _SHEET_EVERY_S or run.iteration == run.iterations):
            sheet = write_sheet(run.network, held_out, out / f"{name}-{run.iteration:05d}.jpg")
            shown = now
        left = run.iterations - run.iteration
        eta_s = left * (now - started) / (run.iteration - first)
        report(Progress(run.iteration, run.iterations, eta_s, terms, sheet))


def write_checkpoint(run: Run, path: Path) -> None:
    """By rename, so that a kill leaves the previous one whole."""
    part = path.with_name(path.name + ".part")
    torch.save(run.state(), part)
    part.replace(path)
