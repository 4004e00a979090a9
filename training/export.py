"""Write a trained style in the forms the workers load: safetensors for torch, OpenVINO IR for CPUs.

The IR is built layer by layer rather than traced, so that it holds nothing but what a frame needs: frames go in and
come out as uint8 N x H x W x 3 BGR, any H and W that are multiples of the stride; the channel order and the scale
of 255 are folded into the first and the last convolution, conversion, clamp and rounding are part of the graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op
from torch import Tensor

from workers.network import Conv, Residual, StyleNetwork, load, save
from workers.openvino_engine import RT_INFO


@dataclass(frozen=True, slots=True)
class Exported:
    """The files of one style."""

    safetensors: Path
    xml: Path
    bin: Path


def export(source: Path, *, name: str, folder: Path) -> Exported:
    """Turn a folded `.safetensors` into `folder/name.safetensors`, `.xml` and `.bin`; each appears only when whole."""
    network = load(source)
    folder.mkdir(parents=True, exist_ok=True)
    files = Exported(*(folder / f"{name}{suffix}" for suffix in (".safetensors", ".xml", ".bin")))
    save(network, files.safetensors)
    part = folder / f"{name}.part.xml"
    ov.save_model(build_graph(network), part, compress_to_fp16=True)
    # Weights first: whoever sees the .xml finds its .bin.
    part.with_suffix(".bin").replace(files.bin)
    part.replace(files.xml)
    return files


def build_graph(network: StyleNetwork) -> ov.Model:
    """The OpenVINO model of a folded network: `frame` (1, H, W, 3) uint8 BGR to the same."""
    frame = op.parameter([1, -1, -1, 3], ov.Type.u8, name="frame")
    x = op.convert(op.transpose(frame, _order(0, 3, 1, 2)), "f32")
    half = op.relu(_conv(op.space_to_depth(x, "depth_first", 2), network.stem, weight=_reads_bgr(network.stem)))
    quarter = op.relu(_conv(half, network.down4))
    y = op.relu(_conv(quarter, network.down8))
    for block in network.body:
        assert isinstance(block, Residual)
        y = op.add(y, _conv(op.relu(_conv(y, block.first)), block.second))
    y = op.relu(op.add(_conv(_double(y), network.up4), quarter))
    y = op.relu(_conv(_double(y), network.up2))
    y = _conv(y, network.head, weight=_writes_bgr(network.head.conv.weight), bias=_writes_bgr(_bias(network.head)))
    y = op.depth_to_space(y, "depth_first", 2)
    y = op.round(op.clamp(y, 0.0, 255.0), "half_to_even")
    painted = op.transpose(op.convert(y, "u8"), _order(0, 2, 3, 1))
    painted.output(0).set_names({"painted"})
    model = ov.Model([painted], [frame], "style")
    for key, words in network.processing.metadata().items():
        model.set_rt_info(words, [RT_INFO, key])
    return model


def _conv(x: ov.Node, layer: Conv, *, weight: Tensor | None = None, bias: Tensor | None = None) -> ov.Node:
    ones = np.array([0, 0, 1, 1])
    padded = op.pad(x, ones, ones, "reflect")
    stride = list(layer.conv.stride)
    kernel = op.constant(_array(layer.conv.weight if weight is None else weight))
    y = op.convolution(padded, kernel, stride, [0, 0], [0, 0], [1, 1])
    return op.add(y, op.constant(_array(_bias(layer) if bias is None else bias).reshape(1, -1, 1, 1)))


def _double(x: ov.Node) -> ov.Node:
    scales, axes = op.constant(np.array([2.0, 2.0], np.float32)), op.constant(np.array([2, 3]))
    return op.interpolate(x, scales, "linear_onnx", "scales", axes=axes, coordinate_transformation_mode="half_pixel")


def _reads_bgr(layer: Conv) -> Tensor:
    """Input channels come as 3 colours x 4 sub-pixels: reverse the colours, and take 0..255."""
    weight = layer.conv.weight.detach()
    return weight.reshape(-1, 3, 4, 3, 3).flip(1).reshape(weight.shape) / 255.0


def _writes_bgr(parameter: Tensor) -> Tensor:
    colours = parameter.detach().reshape(3, 4, *parameter.shape[1:])
    return colours.flip(0).reshape(parameter.shape) * 255.0


def _bias(layer: Conv) -> Tensor:
    assert layer.conv.bias is not None
    return layer.conv.bias


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return np.asarray(tensor.detach().cpu().float().numpy())


def _order(*axes: int) -> NDArray[np.int64]:
    return np.array(axes, np.int64)
