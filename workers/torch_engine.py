"""The torch engine: GPUs, and any CPU for styles without an export (classic `.pth` checkpoints among them).

On a GPU a picture size is captured once as a CUDA graph; convolutions run in fp16 while norms keep fp32 parameters and
statistics. Each calling thread has its own copy stream and pinned buffers, so one frame travels while another is
painted; a lock is held only while work is queued, and the painting stream keeps the order.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn

from workers.classic_network import load_classic
from workers.engine import Engine, memory_errors
from workers.network import RECEPTIVE_FIELD_PX, STRIDE_PX, StyleNetwork, load
from workers.processing import Processing

# Sizes kept captured; each holds its activations in GPU memory.
_KEPT_SIZES = 3
# Runs before a capture: cuDNN chooses its algorithms in the first ones.
_WARM_UPS = 3


@dataclass(frozen=True, slots=True)
class NetworkProperties:
    """What `stylize` must know of a network."""

    multiple: int
    overlap_px: int
    bytes_per_px: int


# bytes_per_px: resident memory of one fp32 pass on the CPU, measured: 68 at 1920×1080; classic 927 at 1280×720.
_OURS = NetworkProperties(STRIDE_PX, RECEPTIVE_FIELD_PX, 80)
# Instance norm takes its statistics from what it is given: tiles of a classic style differ a little in tone.
_CLASSIC = NetworkProperties(4, 64, 1000)


def load_torch_engine(path: Path, *, device: str, threads: int, mix: Path | None = None, share: float = 0.0) -> Engine:
    """Load `.safetensors` (ours) or `.pth` (pytorch/examples). Raises OSError, ValueError or RuntimeError.

    `mix`: a second file of ours, whose weights make up `share`.
    """
    # Process-wide, as torch has it: a worker process holds one engine.
    torch.set_num_threads(threads)
    classic = path.suffix == ".pth"
    try:
        network: nn.Module = load_classic(path) if classic else load(path) if mix is None else _mixed(path, mix, share)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    facts = _CLASSIC if classic else _OURS
    if device == "cpu":
        return TorchEngine(network, facts)
    return CudaEngine(network, facts, device=device)


def _mixed(path: Path, mix: Path, share: float) -> nn.Module:
    """Return a network whose weights lie between those of two files. Raises RuntimeError where their shapes differ."""
    own, other = load(path), load(mix)
    weights = other.state_dict()
    own.load_state_dict({key: torch.lerp(value, weights[key], share) for key, value in own.state_dict().items()})
    own.processing = own.processing.mixed(other.processing, share)
    return own


class TorchEngine:
    """A network on the CPU, one picture at a time."""

    def __init__(self, network: nn.Module, facts: NetworkProperties, *, dtype: torch.dtype = torch.float32) -> None:
        self.multiple, self.overlap_px, self.bytes_per_px = facts.multiple, facts.overlap_px, facts.bytes_per_px
        self.processing = processing_of(network)
        self._step = painting_step(network, dtype)
        self._lock = threading.Lock()

    def paint(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the painting of H×W×3 uint8 BGR `pixels`, H and W multiples of `multiple`."""
        frame = torch.from_numpy(np.array(pixels, order="C"))
        with self._lock, memory_errors():
            return np.asarray(self._step(frame).numpy(), np.uint8)


def processing_of(network: nn.Module) -> Processing:
    """What the network wants around it; classic ones want nothing."""
    return network.processing if isinstance(network, StyleNetwork) else Processing()


def painting_step(network: nn.Module, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """Return the function H×W×3 uint8 BGR → the same, painted, on the network's own device; convolutions in `dtype`."""
    network = network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(dtype)
    paint: Callable[[Tensor], Tensor] = network.paint  # type: ignore[assignment]

    @torch.inference_mode()
    def step(frame: Tensor) -> Tensor:
        x = frame.flip(2).permute(2, 0, 1)[None]  # (1, 3, H, W), RGB, channels last as it lies
        y = paint(x.to(dtype) / 255)
        # Rounded in fp32: half a step of fp16 at 255 is more than a rounding error.
        y = (y.float() * 255).round_().to(torch.uint8)
        return y[0].permute(1, 2, 0).flip(2).contiguous()  # (H, W, 3), BGR

    return step


class CudaEngine:
    """A network on one GPU. Any number of threads may call `paint`; their copies and the painting overlap."""

    def __init__(
        self, network: nn.Module, facts: NetworkProperties, *, device: str, dtype: torch.dtype = torch.float16
    ) -> None:
        self.multiple, self.overlap_px, self.bytes_per_px = facts.multiple, facts.overlap_px, facts.bytes_per_px
        self.processing = processing_of(network)
        self._device = torch.device(device)
        self._step = painting_step(network.to(self._device), dtype)
        self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        self._lock = threading.Lock()
        self._passes: OrderedDict[tuple[int, int], CapturedGraph] = OrderedDict()
        self._lanes = threading.local()

    def paint(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the painting of H×W×3 uint8 BGR `pixels`, H and W multiples of `multiple`."""
        try:
            with memory_errors():
                return self._paint(pixels)
        except MemoryError:
            self._free()
            raise

    def _paint(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = pixels.shape[:2]
        lane = self._lane(height, width)
        lane.upload(pixels)
        with self._lock:
            one = self._pass(height, width)
            with torch.cuda.stream(self._stream):
                self._stream.wait_event(lane.uploaded)
                one.frame.copy_(lane.frame)
                one.graph.replay()
                lane.painted.copy_(one.painted)
                lane.finished.record(self._stream)
        return lane.download()

    def _free(self) -> None:
        """Give back what captured sizes hold: the next try, with smaller tiles, needs other ones."""
        with self._lock:
            self._stream.synchronize()
            self._passes.clear()
            torch.cuda.empty_cache()

    def _lane(self, height: int, width: int) -> "TransferBuffers":
        lane: TransferBuffers | None = getattr(self._lanes, "lane", None)
        if lane is None or lane.frame.shape[:2] != (height, width):
            lane = TransferBuffers(height, width, self._device)
            self._lanes.lane = lane
        return lane

    def _pass(self, height: int, width: int) -> "CapturedGraph":
        size = (height, width)
        if size in self._passes:
            self._passes.move_to_end(size)
            return self._passes[size]
        while len(self._passes) >= _KEPT_SIZES:
            # A graph must not go while it runs.
            self._stream.synchronize()
            self._passes.popitem(last=False)
        self._passes[size] = CapturedGraph(self._step, height, width, self._stream)
        return self._passes[size]


class CapturedGraph:
    """The network captured for one picture size: copy into `frame`, replay `graph`, copy out of `painted`."""

    def __init__(self, step: Callable[[Tensor], Tensor], height: int, width: int, stream: torch.cuda.Stream) -> None:
        with torch.cuda.stream(stream):
            self.frame = torch.zeros((height, width, 3), dtype=torch.uint8, device=stream.device)
            for _ in range(_WARM_UPS):
                step(self.frame)
        stream.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        # thread_local: other threads go on copying their frames while this one is captured.
        with torch.cuda.graph(self.graph, stream=stream, capture_error_mode="thread_local"):
            self.painted = step(self.frame)


class TransferBuffers:
    """One thread's way to the GPU and back: a stream, pinned host buffers, and device buffers, for one picture size."""

    def __init__(self, height: int, width: int, device: torch.device) -> None:
        shape = (height, width, 3)
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._sent = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        self._received = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        self.frame = torch.empty(shape, dtype=torch.uint8, device=device)
        self.painted = torch.empty(shape, dtype=torch.uint8, device=device)
        self.uploaded = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self.finished = torch.cuda.Event()  # type: ignore[no-untyped-call]
        # The device buffers came from the default stream, and were never used on it: nothing to wait for.

    def upload(self, pixels: NDArray[np.uint8]) -> None:
        """Queue the copy of `pixels` to `frame`; `uploaded` marks its end."""
        self._sent.numpy()[...] = pixels
        with torch.cuda.stream(self._stream):
            self.frame.copy_(self._sent, non_blocking=True)
            self.uploaded.record(self._stream)

    def download(self) -> NDArray[np.uint8]:
        """Wait for `finished`, and return what lies in `painted`."""
        with torch.cuda.stream(self._stream):
            self._stream.wait_event(self.finished)
            self._received.copy_(self.painted, non_blocking=True)
        self._stream.synchronize()
        return np.array(self._received.numpy(), np.uint8)
