"""The 1.68 M parameter network of pytorch/examples' fast_neural_style, so that its published `.pth` styles can be used.

Johnson 2016 with instance norm (Ulyanov 2016): statistics come from the whole frame, so tiles of one frame differ.
Kept beside our own network for compatibility and for comparison; it costs about fifty times as much a frame.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Checkpoints saved by torch 0.3 and older carry statistics that instance norm no longer has.
_OLD_KEYS = re.compile(r"in\d+\.running_(mean|var)$|in\d+\.num_batches_tracked$")


class ConvLayer(nn.Module):
    """Reflect padding and a convolution; attribute names are those of the published checkpoints."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1) -> None:
        super().__init__()
        self.reflection_pad = nn.ReflectionPad2d(size // 2)
        self.conv2d = nn.Conv2d(inputs, outputs, size, stride)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2d(self.reflection_pad(x))
        return y


class UpsampleConvLayer(ConvLayer):
    """The same behind a nearest upsampling by two."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with instance norm, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvLayer(channels, channels, 3)
        self.in1 = nn.InstanceNorm2d(channels, affine=True)
        self.conv2 = ConvLayer(channels, channels, 3)
        self.in2 = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.in1(self.conv1(x)))
        out: Tensor = self.in2(self.conv2(y)) + x
        return out


class TransformerNet(nn.Module):
    """Map RGB 0..255, N x 3 x H x W, to about the same range; H and W multiples of 4."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.in1 = ConvLayer(3, 32, 9), nn.InstanceNorm2d(32, affine=True)
        self.conv2, self.in2 = ConvLayer(32, 64, 3, 2), nn.InstanceNorm2d(64, affine=True)
        self.conv3, self.in3 = ConvLayer(64, 128, 3, 2), nn.InstanceNorm2d(128, affine=True)
        self.res1, self.res2, self.res3, self.res4, self.res5 = (ResidualBlock(128) for _ in range(5))
        self.deconv1, self.in4 = UpsampleConvLayer(128, 64, 3), nn.InstanceNorm2d(64, affine=True)
        self.deconv2, self.in5 = UpsampleConvLayer(64, 32, 3), nn.InstanceNorm2d(32, affine=True)
        self.deconv3 = ConvLayer(32, 3, 9)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.in1(self.conv1(x)))  # (N, 32, H, W)
        y = F.relu(self.in2(self.conv2(y)))  # (N, 64, H/2, W/2)
        y = F.relu(self.in3(self.conv3(y)))  # (N, 128, H/4, W/4)
        for block in (self.res1, self.res2, self.res3, self.res4, self.res5):
            y = block(y)
        y = F.relu(self.in4(self.deconv1(y)))  # (N, 64, H/2, W/2)
        y = F.relu(self.in5(self.deconv2(y)))  # (N, 32, H, W)
        out: Tensor = self.deconv3(y)  # (N, 3, H, W)
        return out

    @torch.no_grad()
    def paint(self, x: Tensor) -> Tensor:
        """RGB 0..1 to RGB 0..1, as `StyleNetwork.paint`."""
        return torch.clamp(self(x * 255.0) / 255.0, 0.0, 1.0)


def load_classic(path: Path) -> TransformerNet:
    """Read a `.pth` checkpoint, old key names too; tensors only, no code runs. Raises OSError or ValueError."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        # The reader runs over whatever bytes there are, and raises whatever they lead it to.
        raise ValueError(f"{path} is not a checkpoint of tensors alone: {str(error).partition(chr(10))[0]}") from error
    network = TransformerNet()
    try:
        network.load_state_dict({key: value for key, value in state.items() if not _OLD_KEYS.search(key)})
    except (RuntimeError, AttributeError, TypeError) as error:
        raise ValueError(f"{path} is not a fast_neural_style network") from error
    return network.eval()
