"""Which devices a machine offers, with the driver's answer made up."""

from collections.abc import Sequence

import pytest

from pipeline.errors import UsageError
from workers.devices import find_devices


class Gpus:
    """A driver that counts so many cards."""

    def __init__(self, count: int) -> None:
        self._count = count

    def uuids(self) -> list[str]:
        return [f"GPU-{n}" for n in range(self._count)]


def found(spec: str, count: int, visible: str | None = None) -> Sequence[tuple[str, str]]:
    return [(d.label, d.visible) for d in find_devices(spec, visible=visible, gpus=Gpus(count))]


@pytest.mark.parametrize(
    ("spec", "count", "visible", "devices"),
    [
        pytest.param("auto", 0, None, [], id="no card: the CPU"),
        pytest.param("auto", 2, None, [("gpu0", "GPU-0"), ("gpu1", "GPU-1")], id="cards are pinned by UUID"),
        pytest.param("cpu", 2, None, [], id="the CPU though there are cards"),
        pytest.param("1,0", 2, None, [("gpu1", "GPU-1"), ("gpu0", "GPU-0")], id="chosen cards"),
        pytest.param("0,0", 2, None, [("gpu0", "GPU-0")], id="a card named twice counts once"),
        pytest.param("auto", 4, "2,3", [("gpu0", "2"), ("gpu1", "3")], id="inherited numbers"),
        pytest.param("1", 4, "2,3", [("gpu1", "3")], id="numbers count within what was inherited"),
        pytest.param("auto", 4, "GPU-3", [("gpu0", "GPU-3")], id="inherited UUID"),
        pytest.param("auto", 4, "", [], id="all cards hidden: the CPU"),
    ],
)
def test_devices(spec: str, count: int, visible: str | None, devices: list[tuple[str, str]]) -> None:
    assert found(spec, count, visible) == devices


@pytest.mark.parametrize(
    ("spec", "count", "said"),
    [
        ("3", 2, "no GPU 3 here; there are gpu0, gpu1"),
        ("0", 0, "no GPU 0 here; there is only the CPU"),
        ("-1", 2, "no GPU -1 here"),
        ("gpu", 2, "auto, cpu, or numbers"),
    ],
)
def test_a_device_that_is_not_there_is_refused(spec: str, count: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        found(spec, count)
