"""A stand-in for `pynvml`: a driver that tells of made-up cards, whole, cut, or without memory of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Card:
    """A card or slice. `slices`: () for a whole card; None among them is a place without a slice."""

    uuid: str
    free_mb: int | None = 16_000
    can_be_cut: bool = False
    slices: tuple["Card | None", ...] = ()


@dataclass(frozen=True, slots=True)
class _Memory:
    free: int


class NVMLError(Exception):
    """What the driver says instead of an answer."""


def fake_nvml(cards: Sequence[Card], *, driver: bool = True) -> ModuleType:
    """Return a module that answers as `pynvml` does."""

    def init() -> None:
        if not driver:
            raise NVMLError("driver not loaded")

    def mig_mode(card: Card) -> list[int]:
        if not card.can_be_cut:
            raise NVMLError("not supported")
        return [int(bool(card.slices)), int(bool(card.slices))]

    def slice_of(card: Card, place: int) -> Card:
        found = card.slices[place] if place < len(card.slices) else None
        if found is None:
            raise NVMLError("not found")
        return found

    def memory(card: Card) -> _Memory:
        if card.free_mb is None:
            raise NVMLError("not supported")
        return _Memory(card.free_mb * MIB)

    module = ModuleType("pynvml")
    module.__dict__.update(
        NVMLError=NVMLError,
        NVML_DEVICE_MIG_ENABLE=1,
        nvmlInit=init,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: len(cards),
        nvmlDeviceGetHandleByIndex=lambda number: cards[number],
        nvmlDeviceGetUUID=lambda card: card.uuid,
        nvmlDeviceGetMemoryInfo=memory,
        nvmlDeviceGetMigMode=mig_mode,
        nvmlDeviceGetMaxMigDeviceCount=lambda card: 7,
        nvmlDeviceGetMigDeviceHandleByIndex=slice_of,
    )
    return module
