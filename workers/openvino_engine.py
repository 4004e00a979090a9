"""The CPU engine: a style's exported graph on OpenVINO, uint8 BGR in and out, compiled once per picture size.

No cache of compiled graphs is kept on disk: compiling takes 60–75 ms (640×480 and 1280×720, one thread, AMD EPYC with
AVX-512 and BF16, November 2026), a file shared between processes would save less than it could break.
"""

import threading
from collections import OrderedDict
from itertools import zip_longest
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13
from openvino.utils import replace_node

from workers.engine import memory_errors
from workers.processing import KEYS, Processing

# The graph's own grid and how far it sees; see workers/network.py.
_MULTIPLE = 8
_OVERLAP_PX = 104
# Under this key an exported graph stores its processing.
RT_INFO = "painter"
# Sizes kept compiled. A video has one; a folder of photos passes through.
_KEPT_SIZES = 4


def processing_of(model: ov.Model) -> Processing:
    """What an exported graph wants around it. Raises ValueError for words that no export writes."""
    found = [word for word in KEYS if model.has_rt_info([RT_INFO, word])]
    return Processing.read({word: model.get_rt_info([RT_INFO, word]).astype(str) for word in found})


def _mix_in(model: ov.Model, other: ov.Model, share: float) -> None:
    """Move the weights of `model` towards those of `other`. Raises ValueError where they are built differently."""
    pairs = list(zip_longest(model.get_ordered_ops(), other.get_ordered_ops()))
    for own, theirs in pairs:
        if own is None or theirs is None or own.get_type_name() != theirs.get_type_name():
            raise ValueError("the two networks are built differently")
    for own, theirs in pairs:
        if own.get_type_name() != "Constant":
            continue
        one, two = own.data, theirs.data
        if one.shape != two.shape or one.dtype != two.dtype:
            raise ValueError("the two networks are built differently")
        if np.array_equal(one, two):
            continue
        mixed = one.astype(np.float32) * (1.0 - share) + two.astype(np.float32) * share
        replace_node(own, opset13.constant(mixed.astype(one.dtype)))


class OpenVinoEngine:
    """One style on the CPU.

    `precision`: OpenVINO's name of a type (f32); "" leaves it to OpenVINO, which takes bf16 where the CPU has it.
    """

    multiple = _MULTIPLE
    overlap_px = _OVERLAP_PX
    # Measured on a 3840×2160 frame: 36 in bf16, 62 in f32 (resident memory before and after).
    bytes_per_px = 72

    def __init__(
        self, graph: Path, *, threads: int, precision: str = "", mix: Path | None = None, share: float = 0.0
    ) -> None:
        """Load `graph`, with `share` of the weights of `mix` where that is given."""
        self._core = ov.Core()
        self._model = self._core.read_model(graph)
        self.processing = processing_of(self._model)
        if mix is not None:
            other = self._core.read_model(mix)
            _mix_in(self._model, other, share)
            self.processing = self.processing.mixed(processing_of(other), share)
        # Pinning puts every one-thread process on the same first core (seen: two workers on one of two cores).
        self._options: dict[str, str | int | bool] = {
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        if precision:
            self._options["INFERENCE_PRECISION_HINT"] = precision
        self._lock = threading.Lock()
        self._compiled: OrderedDict[tuple[int, int], ov.InferRequest] = OrderedDict()

    def paint(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the painting of H×W×3 uint8 BGR `pixels`, H and W multiples of `multiple`."""
        # Raw pixels lie in the message they came with: they are copied, since OpenVINO shares only what it may write.
        frame = np.require(pixels, requirements=["C", "W"])[None]  # (1, H, W, 3)
        painted = np.empty_like(frame)
        with self._lock, memory_errors():
            request = self._request(pixels.shape[0], pixels.shape[1])
            request.set_input_tensor(ov.Tensor(frame, shared_memory=True))
            request.set_output_tensor(ov.Tensor(painted, shared_memory=True))
            request.infer()
        return np.asarray(painted[0], np.uint8)

    def _request(self, height: int, width: int) -> ov.InferRequest:
        size = (height, width)
        if size in self._compiled:
            self._compiled.move_to_end(size)
            return self._compiled[size]
        model = self._model.clone()
        model.reshape([1, height, width, 3])
        self._compiled[size] = self._core.compile_model(model, "CPU", self._options).create_infer_request()
        while len(self._compiled) > _KEPT_SIZES:
            self._compiled.popitem(last=False)
        return self._compiled[size]
