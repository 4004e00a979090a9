"""One style in training: the network, its optimizer and what is asked of it at every step.

Everything random is drawn from (seed, stage, step), so a run restored from `state()` goes on as if never stopped.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.errors import PipelineError, UsageError
from training import losses
from training.backbone import Backbone
from training.canvas import Grain, Tone, sharpened
from training.palette import Palette
from training.photos import PhotoSet
from training.recipe import Recipe
from training.shake import Shake
from workers.canvas import Canvas
from workers.network import Norm, StyleNetwork

log = logging.getLogger(__name__)

# First number of each random draw after the seed.
_TRAINING, _WARM_UP, _CROPS, _SURVEY, _STATISTICS, _GRAIN = range(6)
# Crops over which the frozen statistics are taken, and their side: about a frame, not a detail of one.
_STATISTICS_BATCHES, _STATISTICS_PX = 24, 384
_SURVEY_BATCHES = 60
# One unlucky crop must not throw the network into black: it does not come back from there.
_LARGEST_GRADIENT = 10.0
# Crops of one colour do not come in such rows: the network itself is broken then, and would be written as a style.
_MOST_SKIPPED = 20
# The rate rises over the first steps, while Adam has seen few gradients of the new losses.
_RAMP_STEPS = 30


class DivergedError(PipelineError, ArithmeticError):
    """The network's weights or gradients are not finite any more; the run cannot go on."""


class Run:
    """Owns the state of one training; `step` is one iteration."""

    def __init__(self, recipe: Recipe, painting: Tensor, photos: PhotoSet, backbone: Backbone) -> None:
        self.recipe, self.photos = recipe, photos
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.backbone = backbone.to(self.device)
        self.grain = Grain(self.device) if recipe.grain else None
        self.tone = Tone.of(painting.to(self.device)) if recipe.tone else None
        torch.manual_seed(recipe.seed)
        self.network = self._fresh_network().to(self.device)
        self.optimizer = self._fresh_optimizer()
        self.iteration, self.iterations, self.seconds = 0, 0, 0.0
        self.wanted = losses.Style.of(self.backbone, painting.to(self.device))
        self.is_frozen = False
        self._skipped = 0
        # The weights it began with, where some of them are to stay.
        self._begun: dict[str, Tensor] = {}
        self._crops_seen: dict[int, tuple[Tensor, Tensor]] = {}
        survey = torch.cat([self._draw(_SURVEY, step, 128) for step in range(_SURVEY_BATCHES)])
        self.palette = Palette(survey, painting, vivid=recipe.vivid)
        self.energy = self._energy(survey[:16])

    def start_from(self, style: StyleNetwork) -> None:
        """Begin with the weights of a finished style; raises UsageError if it is of another size.

        Its norms are folded away. Ours get what undoes them on a typical photo, so that nothing changes at first.
        """
        if style.widths != self.recipe.widths:
            raise UsageError(f"a network of {style.widths} cannot start one of {self.recipe.widths}")
        self.network.load_state_dict(style.state_dict(), strict=False)
        if self.recipe.kept:
            self._begun = style.state_dict()
        for norm in _norms(self.network):
            norm.freeze(torch.zeros_like(norm.bias), torch.full_like(norm.bias, 1.0 - norm.eps))
        self.network.eval()
        for norm, (mean, variance) in zip(_norms(self.network), self._statistics(), strict=True):
            norm.weight.data.copy_((variance + norm.eps).sqrt())
            norm.bias.data.copy_(mean)

    def warm_up(self) -> None:
        """Learn the painting's colours, so that the style starts from a picture and not from noise."""
        self.network.train()
        for step in range(self.recipe.warm_up):
            left = 1.0 - step / self.recipe.warm_up
            self._set_learning_rate(1e-3 * (0.3 + 3.0 * left))
            photo = self._draw(_WARM_UP, step, 64 if left > 0.5 else 96)
            self._descend(F.l1_loss(self.network(self._grained(photo, _WARM_UP, step)), self.palette(photo)))
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
        rng = np.random.default_rng([self.recipe.seed, _TRAINING, self.iteration])
        photo, content = self._next_crops(rng)
        terms = self._learn(photo, content, Shake.draw(rng), rng)
        self.iteration += 1
        return terms

    def finished(self) -> StyleNetwork:
        """The style as it ships: norms folded away, and as much of the weights it began with as is to stay."""
        network = self.network.eval().fold()
        weights = network.state_dict()
        for name, begun in self._begun.items():
            weights[name].lerp_(begun, self.recipe.kept)
        # What it began with may be older than this promise.
        network.level_subpixels()
        return network

    def _learn(self, photo: Tensor, content: Tensor, shake: Shake, rng: np.random.Generator) -> losses.Terms:
        painted, shaken = self._paint_twice(photo, shake, rng)
        # Not before the norms are frozen: while they even out each crop, its own contrast says nothing.
        tone = self.tone if self.is_frozen else None
        style, apart = self._perceptual(tone.finished(painted) if tone else painted, content)
        quiet = losses.quiet_loss(painted, photo)
        inside = slice(shake.margin_px, -shake.margin_px)
        stability = (shaken - shake.move(painted[:1]))[:, :, inside, inside].square().mean()
        recipe = self.recipe
        recoloured = self.palette(photo)
        palette = losses.palette_loss(painted, recoloured, recipe.palette_px)
        self._descend(
            recipe.style * style
            + recipe.content_weight(is_frozen=self.is_frozen) * apart
            + recipe.variation * losses.variation_loss(painted)
            + recipe.quiet * quiet
            + recipe.detail * losses.detail_loss(painted, photo)
            + recipe.frame * losses.frame_loss(painted, recoloured)
            + recipe.lattice * losses.lattice_loss(painted)
            + recipe.stability * stability
            + recipe.palette * palette
            + recipe.overshoot * losses.range_loss(painted)
        )
        return losses.Terms(style.item(), apart.item(), quiet.item(), stability.item(), palette.item())

    def _paint_twice(self, photo: Tensor, shake: Shake, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """The batch painted, and its first picture painted again after the shake (one pass).

        The grain moves along, or the strokes that it alone begins would be trained away as unsteady.
        """
        noise = torch.from_numpy(rng.standard_normal(photo[:1].shape, dtype=np.float32)).to(self.device)
        moved = (shake.move(photo[:1]) + shake.noise * noise).clamp(0.0, 1.0)
        pictures = torch.cat([photo, moved])
        if self.grain:
            fields = self.grain.draw(rng, len(photo), photo.shape[-1])
            fields = torch.cat([fields, shake.move(fields[:1])])
            pictures = self.grain.lay(pictures, fields, self.recipe.grain)
        both = self.network(pictures)
        if self.recipe.sharpen:
            both = sharpened(both, self.recipe.sharpen)
        return both[: len(photo)], both[len(photo) :]

    def _perceptual(self, painted: Tensor, content: Tensor) -> tuple[Tensor, Tensor]:
        # bfloat16 halves the time of an iteration (0.55 against 1.05 s, two 192 px crops, one AVX-512 thread);
        # the Grams and differences themselves are taken in fp32.
        with torch.autocast(self.device.type, torch.bfloat16):
            fine, coarse = losses.look(self.backbone, painted)
        style = losses.style_loss(fine, self.wanted.fine, losses.STYLE_LAYERS)
        style = style + self.recipe.coarse * losses.style_loss(coarse, self.wanted.coarse, losses.COARSE_LAYERS)
        return style, losses.content_loss(fine, content, self.energy)

    def _descend(self, loss: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        # A crop of one colour has no variance, and 15 norms over one after the other answered it with an infinite
        # gradient (the classic network, after 70 steps): it teaches nothing, and Adam would never forget it.
        if norm.isfinite():
            self.optimizer.step()
            self.network.level_subpixels()
            self._skipped = 0
            return
        self._skipped += 1
        log.warning("a step of infinite gradients was left out, %d in a row", self._skipped)
        if self._skipped == _MOST_SKIPPED:
            raise DivergedError("the training came apart (no finite gradients any more): take a lower learning rate")

    def _freeze(self) -> None:
        """Take the statistics over many photos, then keep them: training now sees what painting does."""
        self.network.train()
        for norm, (mean, variance) in zip(_norms(self.network), self._statistics(), strict=True):
            norm.freeze(mean, variance)
        self.is_frozen = True

    @torch.no_grad()
    def _statistics(self) -> list[tuple[Tensor, Tensor]]:
        """Mean and variance of what each norm is given, over crops as large as a frame."""
        norms = _norms(self.network)
        seen: dict[Norm, list[Tensor]] = {norm: [] for norm in norms}

        def note(norm: Norm, given: tuple[Tensor, ...]) -> None:
            x = given[0].float()
            seen[norm].append(torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))]))

        hooks = [norm.register_forward_pre_hook(note) for norm in norms]
        for step in range(_STATISTICS_BATCHES):
            self.network(self._grained(self._draw(_STATISTICS, step, _STATISTICS_PX), _STATISTICS, step))
        for hook in hooks:
            hook.remove()
        means, squares = zip(*(torch.stack(seen[norm]).mean(0) for norm in norms), strict=True)
        return [(mean, square - mean.square()) for mean, square in zip(means, squares, strict=True)]

    def _grained(self, photo: Tensor, stage: int, step: int) -> Tensor:
        """The photos as the network is to see them, on windows of the canvas that belong to this step."""
        if self.grain is None:
            return photo
        rng = np.random.default_rng([self.recipe.seed, _GRAIN, stage, step])
        return self.grain.lay(photo, self.grain.draw(rng, len(photo), photo.shape[-1]), self.recipe.grain)

    def _fresh_network(self) -> StyleNetwork:
        recipe = self.recipe
        canvas = Canvas(recipe.painted_grain, self.tone.told() if self.tone else None, recipe.painted_sharpen)
        return StyleNetwork(recipe.widths, normed=True, canvas=canvas)

    def _fresh_optimizer(self) -> torch.optim.Adam:
        return torch.optim.Adam(self.network.parameters(), lr=self.recipe.learning_rate)

    def _set_learning_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _energy(self, photos: Tensor) -> float:
        with torch.no_grad():
            features = self.backbone(photos, (losses.CONTENT_LAYER,))
        return float(features[losses.CONTENT_LAYER].square().mean())

    def _next_crops(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A batch of photos, and what the backbone sees in them at the content layer."""
        chosen = rng.choice(self.recipe.crops, self.recipe.batch, replace=False)
        photos, content = zip(*(self._crop(int(index)) for index in chosen), strict=True)
        return torch.cat(photos), torch.cat(content)

    def _crop(self, index: int) -> tuple[Tensor, Tensor]:
        if index not in self._crops_seen:
            rng = np.random.default_rng([self.recipe.seed, _CROPS, index])
            photo = self.photos.crops(rng, 1, self.recipe.crop_px).to(self.device)
            with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16):
                content = self.backbone(photo, (losses.CONTENT_LAYER,))[losses.CONTENT_LAYER]
            self._crops_seen[index] = photo, content.bfloat16()
        return self._crops_seen[index]

    def _draw(self, stage: int, step: int, size_px: int) -> Tensor:
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
            "begun": self._begun,
            "recipe": asdict(self.recipe),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.iteration, self.iterations = state["iteration"], state["iterations"]
        self.seconds, self.is_frozen = state["seconds"], state["is_frozen"]
        # Checkpoints made before there was `kept` have none.
        self._begun = state.get("begun", {})


def _norms(network: StyleNetwork) -> list[Norm]:
    return [module for module in network.modules() if isinstance(module, Norm)]
