"""What an engine is: one style's network, loaded, on one device. Everything around it deals in whole BGR pictures."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from workers.processing import Processing

# What CUDA, its libraries (CUBLAS_STATUS_ALLOC_FAILED), torch's CPU allocator and OpenVINO say in an error of no class
# of its own.
_OUT_OF_MEMORY = re.compile(
    r"out of memory|bad.?alloc|alloc_failed|(can'?t|cannot|could not|failed to) allocate", re.IGNORECASE
)
# What torch says at every call once a CUDA context is lost: only a new process gets another one.
_DEVICE_LOST = re.compile(
    r"CUDA error|device-side assert|illegal memory access|launch failure|GPU is lost|CUDNN_STATUS_(EXECUTION|INTERNAL)",
    re.IGNORECASE,
)


class Engine(Protocol):
    """Paints one picture at a time. Several threads may call `paint`; an engine lets one at a time at its network."""

    @property
    def multiple(self) -> int:
        """Height and width handed to `paint` must be multiples of this."""

    @property
    def overlap_px(self) -> int:
        """How far a pixel sees, in px: tiles that overlap by it on each side paint as the whole does."""

    @property
    def processing(self) -> Processing:
        """What is done to whole frames around `paint`."""

    @property
    def bytes_per_px(self) -> int:
        """Memory one pixel of a picture takes while it is painted, for the choice of the tile size."""

    def paint(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the painting of H×W×3 uint8 BGR `pixels`, same shape, a fresh array; `pixels` stays as it is."""


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn a runtime's error for want of memory into `MemoryError`, which the painter meets with smaller tiles."""
    try:
        yield
    except RuntimeError as error:
        if _OUT_OF_MEMORY.search(str(error)):
            raise MemoryError(str(error).strip().splitlines()[0]) from error
        raise


def is_device_lost(error: BaseException) -> bool:
    """Return whether `error` says that this process's device answers no more."""
    text = str(error)
    return isinstance(error, RuntimeError) and bool(_DEVICE_LOST.search(text)) and not _OUT_OF_MEMORY.search(text)
