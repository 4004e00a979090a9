"""Which devices this machine has for us: its GPUs, within an inherited CUDA_VISIBLE_DEVICES; else the CPU."""

import os
from collections.abc import Sequence
from typing import Protocol

from pipeline.errors import UsageError
from pipeline.placement import Device


class GpuList(Protocol):
    """Asks the driver."""

    def uuids(self) -> list[str]:
        """Return the UUID of every GPU in NVML's order, [] without a driver."""


class Nvml:
    """The driver's own list, through nvidia-ml-py (extra `gpu`)."""

    def uuids(self) -> list[str]:
        """Return the UUID of every GPU, [] without driver or package."""
        try:
            import pynvml

            pynvml.nvmlInit()
        except Exception:  # no package, no driver, no card: all mean the CPU
            return []
        try:
            handles = [pynvml.nvmlDeviceGetHandleByIndex(n) for n in range(pynvml.nvmlDeviceGetCount())]
            return [str(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles]
        finally:
            pynvml.nvmlShutdown()


def find_devices(spec: str, *, visible: str | None, gpus: GpuList) -> list[Device]:
    """Return the devices of `spec`: auto, cpu, or GPU numbers such as 0,2. [] means the CPU.

    `visible`: the inherited CUDA_VISIBLE_DEVICES (None: not set); numbers in `spec` count within it, as CUDA does.
    Raises `UsageError` for a GPU that is not there.
    """
    if spec == "cpu":
        return []
    found = _visible(gpus.uuids(), visible)
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


def _visible(uuids: Sequence[str], visible: str | None) -> list[Device]:
    # By UUID: NVML's order is not CUDA's.
    if visible is None:
        return [Device(f"gpu{number}", uuid) for number, uuid in enumerate(uuids)]
    return [Device(f"gpu{number}", name.strip()) for number, name in enumerate(visible.split(",")) if name.strip()]


def _there_are(found: Sequence[Device]) -> str:
    return f"there are {', '.join(device.label for device in found)}" if found else "there is only the CPU"
