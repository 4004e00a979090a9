"""One style in training: the network, its optimizer and what is asked of it at every step.

Everything random is drawn from (seed, stage, step), so a run restored from `state()` goes on as if never stopped.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.errors import UsageError
from training import losses
from training.backbone import Backbone
from training.palette import Palette
from training.photos import PhotoSet
from training.recipe import Recipe
from training.shake import Shake
from workers.network import StyleNetwork

# First number of each random draw after the seed.
_TRAINING, _WARM_UP, _STATISTICS, _SURVEY = range(4)
_STATISTICS_BATCHES = 24
_SURVEY_BATCHES = 60
# One unlucky crop must not throw the network into black: it does not come back from there.
_LARGEST_GRADIENT = 10.0
# The rate rises over the first steps, while Adam has seen few gradients of the new losses.
_RAMP_STEPS = 30


class Run:
    """Owns the state of one training; `step` is one iteration."""

    def __init__(self, recipe: Recipe, painting: Tensor, photos: PhotoSet, backbone: Backbone) -> None:
        self.recipe, self.photos = recipe, photos
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.backbone = backbone.to(self.device)
        torch.manual_seed(recipe.seed)
        self.network = StyleNetwork(recipe.widths, normed=True).to(self.device)
        self.optimizer = self._fresh_optimizer()
        self.iteration, self.iterations, self.seconds = 0, 0, 0.0
        self.is_frozen = False
        self.wanted = losses.style_grams(self.backbone, painting.to(self.device))
        survey = torch.cat([self._crops(_SURVEY, step, 128) for step in range(_SURVEY_BATCHES)])
        self.palette = Palette(survey, painting, vivid=recipe.vivid)
        self.energy = self._energy(survey[:16])

    def start_from(self, style: StyleNetwork) -> None:
        """Begin with the weights of a finished style; raises UsageError if it is of another size.

        Its norms are folded away, so ours become the identity and stay frozen.
        """
        if style.widths != self.recipe.widths:
            raise UsageError(f"a network of {style.widths} cannot start one of {self.recipe.widths}")
        self.network.load_state_dict(style.state_dict(), strict=False)
        for module in self.network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                assert module.running_var is not None
                module.running_var.fill_(1.0 - module.eps)
        self.is_frozen = True

    def warm_up(self) -> None:
        """Learn the painting's colours, so that the style starts from a picture and not from noise."""
        self.network.train(not self.is_frozen)
        # Without batch statistics behind it, a rate as high as a fresh network likes tears the strokes apart.
        peak = 0.7 if self.is_frozen else 3.0
        for step in range(self.recipe.warm_up):
            left = 1.0 - step / self.recipe.warm_up
            self._set_learning_rate(self.recipe.learning_rate * (0.3 + peak * left))
            photo = self._crops(_WARM_UP, step, 64 if left > 0.5 else 96)
            self._descend(F.l1_loss(self.network(photo), self.palette(photo)))
        # What Adam learnt from these small gradients would make its first steps on the large ones to come huge:
        # one run of three died of that within 75 iterations.
        self.optimizer = self._fresh_optimizer()

    def step(self) -> losses.Terms:
        """One iteration."""
        progress = self.iteration / max(1, self.iterations)
        if progress >= self.recipe.freeze_at and not self.is_frozen:
            self._freeze()
        self.network.train(not self.is_frozen)
        ramp = min(1.0, (self.iteration + 1) / _RAMP_STEPS)
        self._set_learning_rate(self.recipe.learning_rate_at(progress) * ramp)
        photo = self._crops(_TRAINING, self.iteration, self.recipe.crop_px)
        # The shake draws from the same stream as the crops, behind them.
        rng = np.random.default_rng([self.recipe.seed, _TRAINING, self.iteration, 1])
        terms = self._learn(photo, Shake.draw(rng), rng)
        self.iteration += 1
        return terms

    def _learn(self, photo: Tensor, shake: Shake, rng: np.random.Generator) -> losses.Terms:
        painted, shaken = self._paint_twice(photo, shake, rng)
        style, content = self._perceptual(painted, photo)
        quiet = losses.quiet_loss(painted, photo)
        inside = slice(shake.margin_px, -shake.margin_px)
        stability = (shaken - shake.move(painted[:1]))[:, :, inside, inside].square().mean()
        palette = losses.palette_loss(painted, self.palette(photo))
        recipe = self.recipe
        self._descend(
            recipe.style * style
            + recipe.content * content
            + recipe.variation * losses.variation_loss(painted)
            + recipe.quiet * quiet
            + recipe.stability * stability
            + recipe.palette * palette
            + recipe.overshoot * losses.range_loss(painted)
        )
        return losses.Terms(style.item(), content.item(), quiet.item(), stability.item(), palette.item())

    def _paint_twice(self, photo: Tensor, shake: Shake, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """The batch painted, and its first picture painted again after the shake (one pass: one batch statistic)."""
        noise = torch.from_numpy(rng.standard_normal(photo[:1].shape, dtype=np.float32)).to(self.device)
        moved = (shake.move(photo[:1]) + shake.noise * noise).clamp(0.0, 1.0)
        both = self.network(torch.cat([photo, moved]))
        return both[: len(photo)], both[len(photo) :]

    def _perceptual(self, painted: Tensor, photo: Tensor) -> tuple[Tensor, Tensor]:
        # bfloat16 halves the time of an iteration (0.55 against 1.05 s, two 192 px crops, one AVX-512 thread);
        # the Grams and differences themselves are taken in fp32.
        with torch.autocast(self.device.type, torch.bfloat16):
            with torch.no_grad():
                theirs = self.backbone(photo, (losses.CONTENT_LAYER,))
            ours = self.backbone(painted, tuple(losses.STYLE_LAYERS))
        return losses.style_loss(ours, self.wanted), losses.content_loss(ours, theirs, self.energy)

    def _descend(self, loss: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        self.optimizer.step()

    def _freeze(self) -> None:
        """Take the batch statistics anew over many crops, then keep them: training now sees what painting does."""
        for module in self.network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # a plain mean over all that follows
        self.network.train()
        with torch.no_grad():
            for step in range(_STATISTICS_BATCHES):
                self.network(self._crops(_STATISTICS, step, self.recipe.crop_px))
        self.is_frozen = True

    def _fresh_optimizer(self) -> torch.optim.Adam:
        return torch.optim.Adam(self.network.parameters(), lr=self.recipe.learning_rate)

    def _set_learning_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _energy(self, photos: Tensor) -> float:
        with torch.no_grad():
            features = self.backbone(photos, (losses.CONTENT_LAYER,))
        return float(features[losses.CONTENT_LAYER].square().mean())

    def _crops(self, stage: int, step: int, size_px: int) -> Tensor:
        rng = np.random.default_rng([self.recipe.seed, stage, step])
        return self.photos.crops(rng, self.recipe.batch, size_px).to(self.device)

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
