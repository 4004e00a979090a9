"""The ceiling: a picture optimised pixel by pixel towards photo and painting, minutes each, as Gatys 2016 began it.

`python -m benchmarks.slow_optimisation starry astronaut horse` writes var/benchmarks/slow/starry/<photo>.png, which
`benchmarks.pairs` takes as slow:starry. What is there already is not made again.

The scheme is crowsonkb's: from 128 px upwards by √2 to 512 px, each size begun with the last one's picture, Adam, and
the running mean of its iterates as the result. Features are VGG-16's (the judge has VGG-19's), style by Grams of
relu1_1 to relu4_1, content by relu4_2, against the painting at the same size.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.judged_photos import SETS
from benchmarks.pair_painters import SLOW, painting_of, read_bgr
from benchmarks.style_measures import Pixels
from pipeline.errors import UsageError
from training.backbone import Backbone, load_backbone
from training.train import MATERIALS

log = logging.getLogger(__name__)

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
CONTENT_LAYER = "relu4_2"
_LAYERS = (*STYLE_LAYERS, CONTENT_LAYER)


@dataclass(frozen=True, slots=True)
class Plan:
    """Weights and lengths. `still`: a size ends when a window's mean loss is not that much below the window before."""

    content: float = 0.05
    variation: float = 2.0
    learning_rate: float = 0.02
    averaged: float = 0.97
    smallest_px: int = 128
    largest_px: int = 512
    most_steps: int = 300
    window: int = 20
    still: float = 0.01


def optimise(photo: Pixels, painting: Pixels, backbone: Backbone, plan: Plan) -> Pixels:
    """Give the optimised picture, BGR, at the photo's size."""
    picture: Tensor | None = None
    for side in sizes(plan):
        content, style = _scaled(photo, side), _scaled(painting, side)
        start = content if picture is None else F.interpolate(picture, content.shape[2:], mode="bicubic").clamp(0, 1)
        picture = _at_one_size(start, content, style, backbone, plan)
    assert picture is not None
    bgr = (picture[0].permute(1, 2, 0).numpy()[..., ::-1] * 255).round().astype(np.uint8)
    return np.asarray(cv2.resize(bgr, photo.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def sizes(plan: Plan) -> Iterator[int]:
    """Long sides, smallest first, each √2 times the last."""
    steps = round(2 * np.log2(plan.largest_px / plan.smallest_px))
    return (round(plan.smallest_px * 2 ** (step / 2)) for step in range(steps + 1))


def _at_one_size(start: Tensor, content: Tensor, style: Tensor, backbone: Backbone, plan: Plan) -> Tensor:
    with torch.no_grad():
        wanted = {name: _gram(found) for name, found in backbone(style, STYLE_LAYERS).items()}
        kept = backbone(content, (CONTENT_LAYER,))[CONTENT_LAYER]
    picture = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([picture], lr=plan.learning_rate, betas=(0.9, 0.99))
    mean, weight = torch.zeros_like(start), 0.0
    losses: list[float] = []
    while len(losses) < plan.most_steps and not stands_still(losses, plan):
        optimiser.zero_grad()
        loss = _loss(picture, wanted, kept, backbone, plan)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            picture.clamp_(0, 1)
            mean = plan.averaged * mean + (1 - plan.averaged) * picture
            weight = plan.averaged * weight + 1 - plan.averaged
        losses.append(float(loss.detach()))
    log.info("%d px: %d steps, loss %.4f", max(start.shape[2:]), len(losses), losses[-1])
    return (mean / weight).clamp(0, 1)


def stands_still(losses: Sequence[float], plan: Plan) -> bool:
    """Whether the last window is hardly below the one before, looked at once a window."""
    if len(losses) < 2 * plan.window or len(losses) % plan.window:
        return False
    before, last = losses[-2 * plan.window : -plan.window], losses[-plan.window :]
    return sum(last) > (1 - plan.still) * sum(before)


def _loss(picture: Tensor, wanted: dict[str, Tensor], kept: Tensor, backbone: Backbone, plan: Plan) -> Tensor:
    found = backbone(picture, _LAYERS)
    style = torch.stack([_relative(_gram(found[name]), wanted[name]) for name in STYLE_LAYERS]).sum()
    content = _relative(found[CONTENT_LAYER], kept)
    across, down = picture.diff(dim=3), picture.diff(dim=2)
    return style + plan.content * content + plan.variation * (across.square().mean() + down.square().mean())


def _relative(found: Tensor, wanted: Tensor) -> Tensor:
    return (found - wanted).square().sum() / wanted.square().sum()


def _gram(features: Tensor) -> Tensor:
    flat = features[0].flatten(1)
    gram: Tensor = flat @ flat.T / flat.shape[1]
    return gram


def _scaled(picture: Pixels, side: int) -> Tensor:
    """(1, 3, H, W) RGB 0..1, long side as given."""
    scale = side / max(picture.shape[:2])
    size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    rgb = cv2.cvtColor(cv2.resize(picture, size, interpolation=method), cv2.COLOR_BGR2RGB)
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255


def make(style: str, photos: Sequence[str], materials: Path, plan: Plan) -> None:
    """Optimise the photos (of any set, by name) that are not there yet. Raises UsageError."""
    known = {name: photo for each in ("choosing", "verdict") for name, photo in SETS[each](materials).items()}
    if missing := [name for name in photos if name not in known]:
        raise UsageError(f"no held-out photo {', '.join(missing)}; there are {', '.join(known)}")
    painting, backbone = read_bgr(painting_of(style, materials)), load_backbone(materials / "vgg16.safetensors")
    (SLOW / style).mkdir(parents=True, exist_ok=True)
    for name in photos:
        path = SLOW / style / f"{name}.png"
        if not path.exists():
            log.info("%s, %s", style, name)
            part = path.with_name(f"{name}.part.png")
            cv2.imwrite(str(part), optimise(known[name], painting, backbone, plan))
            part.replace(path)


def main(words: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slow_optimisation", description=__doc__)
    parser.add_argument("style", help="a shipped style's name: its painting")
    parser.add_argument("photos", nargs="+", help="names of held-out photos")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--materials", type=Path, default=MATERIALS)
    given = parser.parse_args(words)
    torch.set_num_threads(given.threads)
    try:
        make(given.style, given.photos, given.materials, Plan())
    except UsageError as error:
        print(f"slow_optimisation: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
