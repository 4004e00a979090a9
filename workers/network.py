"""The style network: convolutions and ReLU only, so that one pass costs little and knows nothing of the whole frame.

After Johnson 2016 (arXiv 1603.08155), with four differences: pixel-unshuffle instead of a 9x9 stem, residual blocks
at 1/8 of the frame (strokes are drawn large where they are cheap), one additive skip at 1/4, and norms that learn with
a share of instance norm (Ulyanov 2016, arXiv 1607.08022) but ship as part of the convolutions. So the network uses no
statistics of a frame: a tile with `RECEPTIVE_FIELD_PX` of margin equals the whole. Whole-frame steps, the tone curve
and the unsharp mask, are in `workers/processing.py`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from workers.processing import Processing

# Sides of a frame must be multiples of this (unshuffle 2, two strides of 2).
STRIDE_PX = 8
# How far an output pixel looks on either side, as a multiple of the stride.
RECEPTIVE_FIELD_PX = 104
# The widest network read from a file: three widths and blocks, 300 MB of weights.
_MOST = (256, 256, 256, 64)


@dataclass(frozen=True, slots=True)
class Widths:
    """Channels at 1/2, 1/4 and 1/8 of the frame, and the number of residual blocks at 1/8."""

    half: int = 16
    quarter: int = 32
    eighth: int = 48
    blocks: int = 4


class Norm(nn.BatchNorm2d):
    """Instance norm mixed with fixed statistics; `own` is the share of each picture's own statistics.

    In evaluation mode only the fixed ones count. While a run trains they follow the pictures it sees.
    """

    own = 0.0
    # Share of the newest picture in the fixed statistics.
    _NEWEST = 0.01

    def forward(self, x: Tensor) -> Tensor:
        assert self.running_mean is not None and self.running_var is not None
        if not self.training:
            return super().forward(x)
        mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), unbiased=False, keepdim=True)
        with torch.no_grad():
            self.running_mean.lerp_(mean.mean((0, 2, 3)), self._NEWEST)
            self.running_var.lerp_(variance.mean((0, 2, 3)), self._NEWEST)
        # Copies: the next step changes the buffers before this step's gradients are taken.
        fixed_mean, fixed_variance = (b.clone()[None, :, None, None] for b in (self.running_mean, self.running_var))
        variance = torch.lerp(fixed_variance, variance, self.own)
        x = (x - torch.lerp(fixed_mean, mean, self.own)) / torch.sqrt(variance + self.eps)
        return x * self.weight[None, :, None, None] + self.bias[None, :, None, None]

    def fix(self, mean: Tensor, variance: Tensor) -> None:
        """Set the fixed statistics, one value a channel."""
        assert self.running_mean is not None and self.running_var is not None
        self.running_mean.copy_(mean)
        self.running_var.copy_(variance)


class Conv(nn.Module):
    """3x3 convolution, reflect padded, with an optional norm behind it."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, normed: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=stride, bias=True)
        self.norm: nn.Module = Norm(outputs) if normed else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(F.pad(x, (1, 1, 1, 1), mode="reflect")))
        return y

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the one convolution that equals convolution and norm at frozen statistics."""
        weight, bias = self.conv.weight.detach(), self.conv.bias
        assert bias is not None
        if not isinstance(self.norm, Norm):
            return weight.clone(), bias.detach().clone()
        norm = self.norm
        assert norm.running_mean is not None and norm.running_var is not None
        gain = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
        return weight * gain[:, None, None, None], (bias.detach() - norm.running_mean) * gain + norm.bias.detach()


class Residual(nn.Module):
    """Two convolutions added to their input; no ReLU after the sum, so that the block can be the identity."""

    def __init__(self, channels: int, *, normed: bool) -> None:
        super().__init__()
        self.first = Conv(channels, channels, normed=normed)
        self.second = Conv(channels, channels, normed=normed)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.second(F.relu(self.first(x)))
        return y


class StyleNetwork(nn.Module):
    """Paint N x 3 x H x W, RGB 0..1, into the same shape; H and W multiples of `STRIDE_PX`.

    `normed=True` is the form that trains; `fold()` gives the form that ships. Values may leave 0..1 slightly:
    `paint` clamps them, the loss sees them as they are (a clamp has no gradient where it is needed most). `processing`
    is only carried along for the files.
    """

    def __init__(
        self, widths: Widths | None = None, *, normed: bool = False, processing: Processing | None = None
    ) -> None:
        super().__init__()
        self.processing = processing or Processing()
        w = self.widths = widths or Widths()
        self.stem = Conv(12, w.half, normed=normed)
        self.down4 = Conv(w.half, w.quarter, stride=2, normed=normed)
        self.down8 = Conv(w.quarter, w.eighth, stride=2, normed=normed)
        self.body = nn.Sequential(*(Residual(w.eighth, normed=normed) for _ in range(w.blocks)))
        self.up4 = Conv(w.eighth, w.quarter, normed=normed)
        self.up2 = Conv(w.quarter, w.half, normed=normed)
        self.head = Conv(w.half, 12, normed=False)
        self._start_subpixels_alike()

    def _start_subpixels_alike(self) -> None:
        # The four sub-pixels of a colour share their start, or flat areas show a dot pattern for thousands of steps.
        with torch.no_grad():
            for parameter in (self.head.conv.weight, self.head.conv.bias):
                assert parameter is not None
                parameter.copy_(parameter[::4].repeat_interleave(4, dim=0))

    @torch.no_grad()
    def level_subpixels(self) -> None:
        """Make the four sub-pixels of a colour agree where the features are level, and differ at edges alone.

        Training pulls them apart, which shows as a pattern of 2 px: 4.6 of 255 on a flat wall in one style, then 0.4.
        """
        weight, bias = self.head.conv.weight, self.head.conv.bias
        assert bias is not None
        # Four rows a colour, as pixel-shuffle takes them; what a row gives on level features is the sum of its taps.
        level = weight.sum((2, 3)).view(3, 4, -1)
        too_much = (level - level.mean(1, keepdim=True)).flatten(0, 1)
        weight -= too_much[:, :, None, None] / weight[0, 0].numel()
        bias.copy_(bias.view(3, 4).mean(1).repeat_interleave(4))

    def forward(self, x: Tensor) -> Tensor:
        half = F.relu(self.stem(F.pixel_unshuffle(x, 2)))  # (N, 16, H/2, W/2)
        quarter = F.relu(self.down4(half))  # (N, 32, H/4, W/4)
        eighth = self.body(F.relu(self.down8(quarter)))  # (N, 48, H/8, W/8)
        y = F.relu(self.up4(_double(eighth)) + quarter)  # (N, 32, H/4, W/4)
        y = F.relu(self.up2(_double(y)))  # (N, 16, H/2, W/2)
        return F.pixel_shuffle(self.head(y), 2)  # (N, 3, H, W)

    @torch.no_grad()
    def paint(self, x: Tensor) -> Tensor:
        """`forward` without gradients, clamped to 0..1."""
        return torch.clamp(self(x), 0.0, 1.0)

    def fold(self) -> StyleNetwork:
        """Give the same network without norms; equal to this one in `eval()` up to rounding."""
        folded = StyleNetwork(self.widths, processing=self.processing)
        own = {name: module for name, module in self.named_modules() if isinstance(module, Conv)}
        with torch.no_grad():
            for name, module in folded.named_modules():
                if isinstance(module, Conv):
                    weight, bias = own[name].folded()
                    module.conv.weight.copy_(weight)
                    assert module.conv.bias is not None
                    module.conv.bias.copy_(bias)
        return folded.eval()


def _double(x: Tensor) -> Tensor:
    # Nearest left a lattice of 4 px in the painting: the mean step of luma between columns was 19 of 255 at every
    # fourth and 11, 9 and 7 at the others.
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def save(network: StyleNetwork, path: Path) -> None:
    """Write a folded network as fp16 safetensors (about 420 KB), under its name only when whole."""
    state = {key.replace(".conv.", "."): value.half().contiguous() for key, value in network.state_dict().items()}
    if any(".norm." in key for key in state):
        raise ValueError("fold the network before saving it")
    part = path.with_name(path.name + ".part")
    widths = {key: str(value) for key, value in asdict(network.widths).items()}
    save_file(state, part, metadata={**widths, **network.processing.metadata()})
    part.chmod(0o644)  # safetensors writes for its owner alone
    part.replace(path)


def load(path: Path) -> StyleNetwork:
    """Read what `save` wrote, as fp32, in evaluation mode; raises OSError or ValueError for anything else."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 - not a dict
    try:
        widths = {key: int(metadata[key]) for key in asdict(Widths())}
        # Said beside the weights: a file of a kilobyte must not have us make a network of gigabytes.
        if not all(0 < width <= most for width, most in zip(widths.values(), _MOST, strict=True)):
            raise ValueError(f"{path} is not a style network: its widths are out of range")
        network = StyleNetwork(Widths(**widths), processing=Processing.read(metadata))
        network.load_state_dict({f"{k.rpartition('.')[0]}.conv.{k.rpartition('.')[2]}": v for k, v in tensors.items()})
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"{path} is not a style network: {error}") from error
    return network.eval()
