"""Which devices this machine has for us: its GPUs, within an inherited CUDA_VISIBLE_DEVICES; else the CPU.

A card that is cut into slices (MIG) counts as its slices. Memory is what the driver says is free at this moment.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from types import ModuleType
from typing import Any, Protocol

from pipeline.errors import UsageError
from pipeline.flow.placement import Device

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Gpu:
    """A card, or a slice of one, as the driver names it. `free_mb`: None where the driver does not say."""

    uuid: str
    free_mb: int | None


class GpuList(Protocol):
    """Asks the driver."""

    def gpus(self) -> list[Gpu]:
        """Return every GPU in NVML's order, [] without a driver."""


class Nvml:
    """The driver's own list, through nvidia-ml-py (extra `gpu`)."""

    def gpus(self) -> list[Gpu]:
        """Return every GPU, each slice for itself; [] without driver or package."""
        try:
            import pynvml

            pynvml.nvmlInit()
        except Exception:  # no package, no driver, no card: all mean the CPU
            return []
        try:
            return [gpu for number in range(pynvml.nvmlDeviceGetCount()) for gpu in _gpus(pynvml, number)]
        finally:
            pynvml.nvmlShutdown()


def _gpus(nvml: ModuleType, number: int) -> Iterator[Gpu]:
    card = nvml.nvmlDeviceGetHandleByIndex(number)
    for handle in _slices(nvml, card) or [card]:
        free_mb = None
        # Where a GPU shares the machine's memory the driver has no number of its own.
        with suppress(nvml.NVMLError):
            free_mb = int(nvml.nvmlDeviceGetMemoryInfo(handle).free) // _MIB
        yield Gpu(str(nvml.nvmlDeviceGetUUID(handle)), free_mb)


def _slices(nvml: ModuleType, card: Any) -> list[Any]:
    """Return the slices of a card, [] where it is whole or cannot be cut. A cut card itself runs nothing."""
    try:
        is_cut = nvml.nvmlDeviceGetMigMode(card)[0] == nvml.NVML_DEVICE_MIG_ENABLE
        places = range(nvml.nvmlDeviceGetMaxMigDeviceCount(card)) if is_cut else range(0)
    except nvml.NVMLError:
        return []
    found = []
    for place in places:
        with suppress(nvml.NVMLError):  # a place without a slice
            found.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(card, place))
    return found


def find_devices(spec: str, *, visible: str | None, gpus: GpuList) -> list[Device]:
    """Return the devices of `spec`: auto, cpu, or GPU numbers such as 0,2. [] means the CPU.

    `visible`: the inherited CUDA_VISIBLE_DEVICES (None: not set); numbers in `spec` count within it, as CUDA does.
    Raises `UsageError` for a GPU that is not there.
    """
    if spec == "cpu":
        return []
    found = _visible(gpus.gpus(), visible)
    if spec == "auto":
        return found
    try:
        wanted = [int(part) for part in spec.split(",")]
    except ValueError:
        raise UsageError(f"devices are auto, cpu, or numbers such as 0,1; not {spec!r}") from None
    missing = [str(number) for number in wanted if not 0 <= number < len(found)]
    if missing:
        raise UsageError(f"no GPU {', '.join(missing)} here; {_there_are(found)}")
    return [found[number] for number in dict.fromkeys(wanted)]


def cores() -> int:
    """Return how many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _visible(gpus: Sequence[Gpu], visible: str | None) -> list[Device]:
    # By UUID: NVML's order is not CUDA's.
    if visible is None:
        return [Device(f"gpu{number}", gpu.uuid, gpu.free_mb) for number, gpu in enumerate(gpus)]
    # As for CUDA: what comes behind a device that cannot be is hidden too, and -1 hides all.
    names = takewhile(lambda name: not name.startswith("-"), (name.strip() for name in visible.split(",")))
    return [Device(f"gpu{number}", name, _free_mb(gpus, name)) for number, name in enumerate(names) if name]


def _free_mb(gpus: Sequence[Gpu], name: str) -> int | None:
    """Return the memory of an inherited device. CUDA takes the start of a UUID for the whole.

    Of a number it is not known which card it means: then it is as much as the emptiest one has, so that what is refused
    could fit on none.
    """
    named = [gpu for gpu in gpus if gpu.uuid.startswith(name)] if not name.isdigit() else gpus
    known = [gpu.free_mb for gpu in named if gpu.free_mb is not None]
    return max(known) if known and len(known) == len(named) else None


def _there_are(found: Sequence[Device]) -> str:
    return f"there are {', '.join(device.label for device in found)}" if found else "there is only the CPU"
