"""Which devices a machine offers, with the driver's answers made up."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from tests.workers.nvml import Card, fake_nvml
from workers.devices import Nvml, find_devices

ROOT = Path(__file__).parents[2]
FOUR = [Card(f"GPU-{n}") for n in range(4)]
SLICES = (Card("MIG-a", 4_700), None, Card("MIG-b", 9_700))
CUT = Card("GPU-7", 38_000, can_be_cut=True, slices=SLICES)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Where a test puts its driver."""
    return monkeypatch


def found(
    driver: pytest.MonkeyPatch, cards: Sequence[Card], spec: str = "auto", visible: str | None = None
) -> list[tuple[str, str, int | None]]:
    """The devices of a machine with `cards`: label, what CUDA is told, free MB."""
    driver.setitem(sys.modules, "pynvml", fake_nvml(cards))
    return [(d.label, d.visible, d.free_mb) for d in find_devices(spec, visible=visible, gpus=Nvml())]


@pytest.mark.parametrize(
    ("cards", "devices"),
    [
        pytest.param([], [], id="no card: the CPU"),
        pytest.param(FOUR, [(f"gpu{n}", f"GPU-{n}", 16_000) for n in range(4)], id="4×16 GB, pinned by UUID"),
        pytest.param([Card("GPU-0", 8_000)], [("gpu0", "GPU-0", 8_000)], id="1×8 GB"),
        pytest.param(
            [CUT], [("gpu0", "MIG-a", 4_700), ("gpu1", "MIG-b", 9_700)], id="MIG slices in place of their card"
        ),
        pytest.param(
            [FOUR[0], CUT],
            [("gpu0", "GPU-0", 16_000), ("gpu1", "MIG-a", 4_700), ("gpu2", "MIG-b", 9_700)],
            id="a whole card and slices",
        ),
        pytest.param([Card("GPU-0", can_be_cut=True)], [("gpu0", "GPU-0", 16_000)], id="a card that could be cut"),
        pytest.param([Card("GPU-0", None)], [("gpu0", "GPU-0", None)], id="memory shared with the machine"),
    ],
)
def test_auto_finds_every_gpu_with_its_free_memory(
    driver: pytest.MonkeyPatch, cards: list[Card], devices: list[tuple[str, str, int | None]]
) -> None:
    assert found(driver, cards) == devices


@pytest.mark.parametrize(
    ("spec", "visible", "devices"),
    [
        pytest.param("cpu", None, [], id="the CPU though there are cards"),
        pytest.param("1,0", None, [("gpu1", "GPU-1"), ("gpu0", "GPU-0")], id="chosen cards"),
        pytest.param("0,0", None, [("gpu0", "GPU-0")], id="a card named twice counts once"),
        pytest.param("auto", "2,3", [("gpu0", "2"), ("gpu1", "3")], id="inherited numbers"),
        pytest.param("1", "2,3", [("gpu1", "3")], id="numbers count within what was inherited"),
        pytest.param("auto", "GPU-3", [("gpu0", "GPU-3")], id="inherited UUID"),
        pytest.param("auto", "", [], id="all cards hidden: the CPU"),
        pytest.param("auto", "-1", [], id="all cards hidden by a number that cannot be: the CPU"),
    ],
)
def test_devices(driver: pytest.MonkeyPatch, spec: str, visible: str | None, devices: list[tuple[str, str]]) -> None:
    assert [device[:2] for device in found(driver, FOUR, spec, visible)] == devices


@pytest.mark.parametrize(
    ("visible", "free_mb"),
    [
        pytest.param("GPU-1", 3_000, id="by UUID"),
        pytest.param("0", 9_000, id="by a number of CUDA's: no more than the emptiest has"),
        pytest.param("GPU-9", None, id="one the driver does not name"),
        pytest.param("GPU", 9_000, id="the start of several names"),
    ],
)
def test_memory_of_inherited_devices(driver: pytest.MonkeyPatch, visible: str, free_mb: int | None) -> None:
    cards = [Card("GPU-0", 9_000), Card("GPU-1", 3_000)]
    assert found(driver, cards, visible=visible) == [("gpu0", visible, free_mb)]


def test_without_a_driver_there_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(FOUR, driver=False))
    assert Nvml().gpus() == []


@pytest.mark.parametrize(
    ("spec", "cards", "said"),
    [
        ("3", FOUR[:2], "no GPU 3 here; there are gpu0, gpu1"),
        ("0", [], "no GPU 0 here; there is only the CPU"),
        ("-1", FOUR[:2], "no GPU -1 here"),
        ("gpu", FOUR[:2], "auto, cpu, or numbers"),
    ],
)
def test_a_device_that_is_not_there_is_refused(
    driver: pytest.MonkeyPatch, spec: str, cards: list[Card], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        found(driver, cards, spec)


def work(folder: Path, cards: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run `painter work --plan` where `import pynvml` finds a driver with `cards` (Python, in terms of `Card`)."""
    made = f"import sys\nfrom tests.workers.nvml import Card, fake_nvml\nsys.modules[__name__] = fake_nvml({cards})\n"
    (folder / "pynvml.py").write_text(made)
    path = os.pathsep.join([str(folder), str(ROOT)])
    env = {**os.environ, "PYTHONPATH": path, "COLUMNS": "120"} | {"PAINTER_TILE_MB": "1500"}
    argv = [sys.executable, "-m", "cli", "work", "--plan", *words]
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=50, check=False)


def test_the_plan_shows_devices_with_their_memory(tmp_path: Path) -> None:
    done = work(tmp_path, '[Card(f"GPU-{n}") for n in range(4)]', "--devices", "auto")
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if "gpu" in line]
    assert len(rows) == 8
    assert all("16000 MB" in row for row in rows)


def test_a_plan_that_does_not_fit_is_refused_in_one_line_that_says_what_fits(tmp_path: Path) -> None:
    done = work(tmp_path, '[Card("GPU-0", 8_000)]', "--per-device", "6")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "6 models of 2000 MB will not fit on gpu0 (8000 MB free)" in line
    assert "--per-device 4 fits with 4 of the 6 --styles" in line
    assert work(tmp_path, '[Card("GPU-0", 8_000)]', "--per-device", "4", "--styles", "wave,starry").returncode == 0
