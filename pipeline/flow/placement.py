"""Which process serves which style on which device. A pure function: the same styles and devices give the same plan.

A slot is a place for one model on a device. Every planned style gets at least one; places left over go to the busiest
styles. Without a GPU the machine's CPU is the one device, and every style gets its process there.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.errors import UsageError

# What CUDA, cuDNN and the network hold on a card beside a painting's memory. A guess on the safe side, measured on no
# card: CUDA's context and kernels alone are commonly said to take 200 to 500 MB, our networks are below 10. To measure
# it: what nvidia-smi shows of a worker after its first frame, less PAINTER_TILE_MB's part of it.
_CONTEXT_MB = 500


@dataclass(frozen=True, slots=True)
class Device:
    """One device. `label`: cpu, gpu0 …; `visible`: its CUDA_VISIBLE_DEVICES value (index or UUID), "" for the CPU.

    `free_mb`: its free memory, None where that is not known.
    """

    label: str
    visible: str = ""
    free_mb: int | None = None

    @property
    def is_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return bool(self.visible)


CPU = Device("cpu")


@dataclass(frozen=True, slots=True)
class Slot:
    """One worker process. `number` counts on its device, `threads` are its engine's, `concurrency` its tickets."""

    style: str
    device: Device
    number: int
    threads: int
    concurrency: int

    @property
    def place(self) -> str:
        """The slot's name on its machine: cpu0, cpu1, gpu0-0, gpu0-1 …"""
        return f"{self.device.label}-{self.number}" if self.device.is_gpu else f"{self.device.label}{self.number}"


@dataclass(frozen=True, slots=True)
class Plan:
    """All slots of a machine, and what a user should know about them."""

    slots: tuple[Slot, ...]
    messages: tuple[str, ...] = ()

    def on_threads(self, threads: int) -> "Plan":
        """Return the plan with so many threads for each engine; 0: as it is."""
        return replace(self, slots=tuple(replace(slot, threads=threads or slot.threads) for slot in self.slots))


def frames_at_once(*, is_gpu: bool) -> int:
    """Return how many frames a worker holds."""
    # On a GPU a second thread fetches, decodes and encodes while the first paints; on a CPU both would want one core.
    return 2 if is_gpu else 1


def place(
    styles: Sequence[str],
    devices: Sequence[Device],
    *,
    cores: int,
    per_device: int = 2,
    workers: int | None = None,
    weights: Mapping[str, float] | None = None,
) -> Plan:
    """Plan the workers of `styles` on `devices` (none: the CPU).

    `workers`: processes in all, instead of `per_device` on each GPU or one for each style on the CPU. `weights`: how
    busy a style is beside the others (default 1 each). Raises `UsageError` for no styles or a style named twice.
    """
    if not styles or len(set(styles)) != len(styles):
        raise UsageError(f"styles to serve must be named once each, not {', '.join(styles) or 'none'}")
    devices = list(devices) or [CPU]
    on_gpu = devices[0].is_gpu
    places = workers or (len(devices) * per_device if on_gpu else len(styles))
    shares = _share(styles, max(places, len(styles)), weights or {})
    # Threads on a CPU share the cores; beside a GPU they only feed it.
    threads = 1 if on_gpu else max(1, cores // len(shares))
    concurrency = frames_at_once(is_gpu=on_gpu)
    slots = tuple(
        Slot(style, devices[at % len(devices)], at // len(devices), threads, concurrency)
        for at, style in enumerate(shares)
    )
    return Plan(slots, tuple(_messages(styles, devices, places, slots, cores)))


def require_room(plan: Plan, tile_mb: int) -> None:
    """Raise `UsageError`, saying what would fit, where a device has less memory than its models are planned with.

    `tile_mb`: what one painting may take (`PAINTER_TILE_MB`).
    """
    model_mb = tile_mb + _CONTEXT_MB
    held = Counter(slot.device for slot in plan.slots)
    room = {device: count if device.free_mb is None else device.free_mb // model_mb for device, count in held.items()}
    if not (full := [device for device in held if room[device] < held[device]]):
        return
    first = full[0]
    models = f"{held[first]} models" if held[first] > 1 else "1 model"
    styles = len({slot.style for slot in plan.slots})
    raise UsageError(
        f"{models} of {model_mb} MB will not fit on {', '.join(device.label for device in full)} "
        f"({first.free_mb} MB free); {_what_fits(room, styles, max(held.values()))}"
    )


def _what_fits(room: Mapping[Device, int], styles: int, most: int) -> str:
    """Return the options that come nearest to `most` models a device, for devices with `room` for so many."""
    for each in range(most, 0, -1):
        # A device that somebody else has filled is left to them.
        roomy = [device for device, count in room.items() if count >= each]
        if len(roomy) * each >= styles:
            return f"{_options(roomy, each, len(room))} fits"
    if roomy := [device for device, count in room.items() if count]:
        each = min(room[device] for device in roomy)
        count = len(roomy) * each
        return f"{_options(roomy, each, len(room))} fits with {count} of the {styles} --styles"
    return "--devices cpu needs none of it"


def _options(devices: Sequence[Device], per_device: int, there_are: int) -> str:
    numbers = ",".join(device.label.removeprefix("gpu") for device in devices)
    chosen = f"--devices {numbers} " if len(devices) < there_are else ""
    return f"{chosen}--per-device {per_device}"


def _share(styles: Sequence[str], places: int, weights: Mapping[str, float]) -> list[str]:
    """Return the style of each place: each style once, then always the one with the most work per replica (D'Hondt).

    Replicas come last: laid round the devices, they land on others than the first of their style where they can.
    """
    given = Counter(styles)
    shares = list(styles)
    while len(shares) < places:
        busiest = max(styles, key=lambda style: (weights.get(style, 1.0) / (given[style] + 1), -styles.index(style)))
        given[busiest] += 1
        shares.append(busiest)
    return shares


def _messages(
    styles: Sequence[str], devices: Sequence[Device], places: int, slots: Sequence[Slot], cores: int
) -> list[str]:
    many = f"{len(styles)} style{'s' if len(styles) > 1 else ''}"
    messages = []
    if places < len(styles):
        most = -(-len(slots) // len(devices))
        fewest = len(slots) // len(devices)
        each = f"{most}" if most == fewest else f"{fewest} to {most}"
        share = f"{many} share {places} slots: each device holds {each} models, and each paints slower"
        on_cpu = f"{many} take a process each: {len(slots)} run where {places} were asked for; --styles names fewer"
        messages.append(share if devices[0].is_gpu else on_cpu)
    if not devices[0].is_gpu and len(slots) > cores:
        messages.append(f"{len(slots)} workers share {cores} cores: styles used at once slow one another down")
    replicas = {style: count for style, count in Counter(slot.style for slot in slots).items() if count > 1}
    if replicas and len(styles) > 1:
        messages.append("replicas: " + ", ".join(f"{style} ×{count}" for style, count in replicas.items()))
    return messages
