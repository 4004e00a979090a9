"""One style in training: the network, its optimizer and the losses of every step.

Everything random is drawn from (seed, stage, step), so a run restored from `state()` goes on as if never stopped.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import PipelineError, UsageError
from training import losses
from training.augment import Shake
from training.backbone import Backbone
from training.config import TrainingConfig
from training.palette import Palette
from training.scenes import SceneSet
from workers.network import Norm, StyleNetwork
from workers.processing import Processing

log = logging.getLogger(__name__)

# First number of each random draw after the seed.
_TRAINING, _SURVEY, _STATISTICS, _WARM_UP = range(4)
_SURVEYED, _SURVEY_PX = 100, 256
# Crops over which the norms' statistics are taken.
_STATISTICS_CROPS = 24
# Share of each crop's own statistics in the norms while the network still learns its strokes, and the share of the run
# after which only the fixed ones are left: what ships is convolutions and ReLU. Fixed from the first step on, strokes
# take ten times as long to come.
_OWN_STATISTICS, _OWN_UNTIL = 0.4, 0.35
# Steps in which a network without a parent learns the palette alone: seconds, and no black output.
_WARM_UP_STEPS, _WARM_UP_PX = 300, 96
# One unlucky crop must not throw the network into black: it does not come back from there.
_LARGEST_GRADIENT = 10.0
# Crops of one colour do not come in such rows: the network itself is broken then, and would be written as a style.
_MOST_SKIPPED = 20
# The rate rises over the first steps, while Adam has seen few gradients.
_RAMP_STEPS = 20
_RANGE_WEIGHT = 10.0


class DivergedError(PipelineError, ArithmeticError):
    """The network's weights or gradients are not finite any more; the run cannot go on."""


class Trainer:
    """Owns the state of one training; `step` is one iteration."""

    def __init__(self, config: TrainingConfig, painting: Tensor, scenes: SceneSet, backbone: Backbone) -> None:
        self.config, self.scenes = config, scenes
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.backbone = backbone.to(self.device)
        torch.manual_seed(config.seed)
        processing = Processing(config.contrast, config.sharpen)
        self.network = StyleNetwork(config.widths, normed=True, processing=processing).to(self.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate, betas=(0.9, 0.99))
        self.iteration, self.iterations, self.seconds = 0, 0, 0.0
        self._skipped = 0
        self.style = losses.Style(self.backbone, painting.to(self.device))
        survey = scenes.survey(np.random.default_rng([config.seed, _SURVEY]), _SURVEYED, _SURVEY_PX)
        self.palette = Palette(survey, painting)
        self.content = losses.Content(self.backbone, self.palette(survey[:8].to(self.device)))

    def start_from(self, parent: StyleNetwork) -> None:
        """Begin with the weights of a finished style; raises UsageError if it is of another size.

        Its norms are folded away. Ours get what undoes them on a typical photo, so that nothing changes at first.
        """
        if parent.widths != self.config.widths:
            raise UsageError(f"a network of {parent.widths} cannot start one of {self.config.widths}")
        self.network.load_state_dict(parent.state_dict(), strict=False)
        for norm in _norms(self.network):
            norm.fix(torch.zeros_like(norm.bias), torch.full_like(norm.bias, 1.0 - norm.eps))
        for norm, (mean, variance) in zip(_norms(self.network), self._statistics(), strict=True):
            norm.fix(mean, variance)
            norm.weight.data.copy_((variance + norm.eps).sqrt())
            norm.bias.data.copy_(mean)

    def warm_up(self) -> None:
        """Learn the scenes' colours, so that a network without a parent starts from a picture and not from noise."""
        self._set_norms(own=1.0)
        for step in range(_WARM_UP_STEPS):
            self._set_learning_rate(3e-3 * (1.0 - 0.9 * step / _WARM_UP_STEPS))
            crop = self.scenes.crop(np.random.default_rng([self.config.seed, _WARM_UP, step]), _WARM_UP_PX)
            scene = self.palette(crop.simplified.to(self.device))
            self._descend((self.network(crop.photo.to(self.device)) - scene).abs().mean())
        # Adam's memory of these small gradients would make its first steps on the large ones to come huge.
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=self.config.learning_rate, betas=(0.9, 0.99))

    def step(self) -> losses.Terms:
        """One iteration."""
        progress = self.iteration / max(1, self.iterations)
        self._set_norms(own=_OWN_STATISTICS if progress < _OWN_UNTIL else 0.0)
        ramp = min(1.0, (self.iteration + 1) / _RAMP_STEPS)
        self._set_learning_rate(self.config.learning_rate_at(progress) * ramp)
        rng = np.random.default_rng([self.config.seed, _TRAINING, self.iteration])
        terms = self._learn(rng)
        self.iteration += 1
        return terms

    def finished(self) -> StyleNetwork:
        """The style as it ships: norms folded into the convolutions."""
        network = self.network.eval().fold()
        network.level_subpixels()
        return network

    def _learn(self, rng: np.random.Generator) -> losses.Terms:
        config = self.config
        crop = self.scenes.crop(rng, config.crop_px)
        photo, faces = crop.photo.to(self.device), crop.faces.to(self.device)
        scene = self.palette(crop.simplified.to(self.device))
        shake = Shake.draw(rng)
        painted, shaken = self._paint_twice(photo, shake, rng)
        with half_precision(self.device):
            seen = losses.octaves(self.backbone, painted, part=losses.random_part(config.crop_px, rng))
            content = self.content.loss(seen, scene)
        style = self.style.loss(seen)
        colour, face = losses.colour_loss(painted, scene), losses.face_loss(painted, scene, faces)
        calm = losses.calm_loss(painted, scene)
        inside = slice(shake.margin_px, -shake.margin_px)
        steadiness = (shaken - shake.move(painted))[:, :, inside, inside].square().mean()
        self._descend(
            config.style * style
            + config.content * content
            + config.colour * colour
            + config.calm * calm
            + config.face * face
            + config.steadiness * steadiness
            + config.lattice * losses.lattice_loss(painted)
            + _RANGE_WEIGHT * losses.range_loss(painted)
        )
        return losses.Terms(style.item(), content.item(), colour.item(), calm.item(), face.item(), steadiness.item())

    def _paint_twice(self, photo: Tensor, shake: Shake, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """The crop painted, and painted again after the shake (one pass)."""
        noise = torch.from_numpy(rng.standard_normal(photo.shape, dtype=np.float32)).to(self.device)
        moved = (shake.move(photo) + shake.noise * noise).clamp(0.0, 1.0)
        both = self.network(torch.cat([photo, moved]))
        return both[:1], both[1:]

    def _descend(self, loss: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        # A crop of one colour has no variance, and norms one after the other answer it with an infinite gradient: it
        # teaches nothing, and Adam would never forget it.
        if norm.isfinite():
            self.optimizer.step()
            self.network.level_subpixels()
            self._skipped = 0
            return
        self._skipped += 1
        log.warning("a crop without any contrast was skipped, %d in a row", self._skipped)
        if self._skipped == _MOST_SKIPPED:
            raise DivergedError("the training came apart (no finite gradients any more): take a lower learning rate")

    def _set_norms(self, *, own: float) -> None:
        self.network.train()
        for norm in _norms(self.network):
            norm.own = own

    def _set_learning_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    @torch.no_grad()
    def _statistics(self) -> list[tuple[Tensor, Tensor]]:
        """Mean and variance of the input of each norm, over crops as large as a scene."""
        norms = _norms(self.network)
        found: list[Tensor] = []
        hooks = [norm.register_forward_pre_hook(lambda _, args: found.append(args[0])) for norm in norms]
        means, squares = ([torch.zeros_like(norm.bias) for norm in norms] for _ in range(2))
        self.network.eval()
        for step in range(_STATISTICS_CROPS):
            found.clear()
            crop = self.scenes.crop(np.random.default_rng([self.config.seed, _STATISTICS, step]), self.config.crop_px)
            self.network(crop.photo.to(self.device))
            for number, x in enumerate(found):
                means[number] += x.mean((0, 2, 3)) / _STATISTICS_CROPS
                squares[number] += x.square().mean((0, 2, 3)) / _STATISTICS_CROPS
        for hook in hooks:
            hook.remove()
        return [(mean, (square - mean.square()).clamp_min(0.0)) for mean, square in zip(means, squares, strict=True)]

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs; tensors, numbers and strings only, so that it loads with `weights_only`."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "lately": self.style.lately,
            "iteration": self.iteration,
            "iterations": self.iterations,
            "seconds": self.seconds,
            "config": asdict(self.config),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.style.lately = state["lately"]
        self.iteration, self.iterations = state["iteration"], state["iterations"]
        self.seconds = state["seconds"]


def half_precision(device: torch.device) -> AbstractContextManager[None]:
    """bfloat16 for the backbone where the hardware has it; 13 times slower on an AVX2 processor without it."""
    if device.type == "cuda" or has_bfloat16():
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware (AVX-512 BF16 or AMX, as Linux names them)."""
    try:
        return any(flag in Path("/proc/cpuinfo").read_text(encoding="ascii") for flag in ("avx512_bf16", "amx_bf16"))
    except (OSError, ValueError):
        return False


def _norms(network: StyleNetwork) -> list[Norm]:
    return [module for module in network.modules() if isinstance(module, Norm)]
