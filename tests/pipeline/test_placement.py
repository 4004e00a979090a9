"""Placement as tables: what a user gets for their styles on their machine."""

import random
import re

import pytest

from pipeline.errors import UsageError
from pipeline.flow.placement import CPU, Device, Plan, place, require_room

SIX = ("wave", "starry", "cafe", "composition", "poppies", "moulin")
# Beside CUDA's own share a model is planned with 2000 MB.
TILE_MB = 1500
FOUR_GPUS = tuple(Device(f"gpu{n}", str(n)) for n in range(4))


def layout(plan: Plan) -> dict[str, list[str]]:
    """The plan as device → styles."""
    devices: dict[str, list[str]] = {}
    for slot in plan.slots:
        devices.setdefault(slot.device.label, []).append(slot.style)
    return devices


def test_six_styles_on_four_devices_fill_eight_slots_with_replicas_on_other_devices() -> None:
    plan = place(SIX, FOUR_GPUS, cores=16)
    assert layout(plan) == {
        "gpu0": ["wave", "poppies"],
        "gpu1": ["starry", "moulin"],
        "gpu2": ["cafe", "wave"],
        "gpu3": ["composition", "starry"],
    }
    assert "replicas: wave ×2, starry ×2" in plan.messages


def test_places_left_over_go_to_the_busiest_styles() -> None:
    plan = place(SIX, FOUR_GPUS, cores=16, per_device=3, weights={"moulin": 5.0, "cafe": 2.5})
    counts = {style: sum(slot.style == style for slot in plan.slots) for style in SIX}
    assert counts == {"wave": 1, "starry": 1, "cafe": 3, "composition": 1, "poppies": 1, "moulin": 5}


def test_six_styles_on_one_device_share_it_and_the_plan_says_so() -> None:
    plan = place(SIX, FOUR_GPUS[:1], cores=16)
    assert layout(plan) == {"gpu0": list(SIX)}
    assert plan.messages == ("6 styles share 2 slots: each device holds 6 models, and each paints slower",)


def test_fewer_slots_than_styles_are_shared_out_evenly() -> None:
    plan = place(SIX, FOUR_GPUS, cores=16, per_device=1)
    assert sorted(len(styles) for styles in layout(plan).values()) == [1, 1, 2, 2]
    assert plan.messages == ("6 styles share 4 slots: each device holds 1 to 2 models, and each paints slower",)


@pytest.mark.parametrize(
    ("styles", "cores", "workers", "threads"),
    [
        pytest.param(SIX, 2, None, [1] * 6, id="six styles, two cores"),
        pytest.param(SIX, 32, None, [5] * 6, id="six styles, 32 cores"),
        pytest.param(("wave",), 2, None, [2], id="one style takes the machine"),
        pytest.param(("wave",), 8, 2, [4, 4], id="two workers of one style halve it"),
        pytest.param(("wave", "starry"), 8, 1, [4, 4], id="a style never goes without"),
        pytest.param(("wave", "starry"), 2, 4, [1] * 4, id="more workers than cores keep a thread each"),
    ],
)
def test_without_a_gpu_every_style_gets_its_process_and_the_cores_are_divided(
    styles: tuple[str, ...], cores: int, workers: int | None, threads: list[int]
) -> None:
    plan = place(styles, [], cores=cores, workers=workers)
    assert {slot.style for slot in plan.slots} == set(styles)
    assert [slot.threads for slot in plan.slots] == threads
    assert all(slot.device == CPU and slot.concurrency == 1 for slot in plan.slots)
    assert [slot.place for slot in plan.slots] == [f"cpu{n}" for n in range(len(threads))]


def test_threads_may_be_set_by_hand() -> None:
    shared = place(["wave"], [], cores=8)
    assert [shared.on_threads(threads).slots[0].threads for threads in (0, 1, 16)] == [8, 1, 16]


def test_a_gpu_slot_takes_two_tickets_at_once_and_its_place_names_device_and_number() -> None:
    plan = place(("wave",), FOUR_GPUS[:1], cores=16)
    assert [(slot.place, slot.concurrency) for slot in plan.slots] == [("gpu0-0", 2), ("gpu0-1", 2)]


@pytest.mark.parametrize("devices", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("styles", [1, 2, 5, 6, 13])
@pytest.mark.parametrize("per_device", [1, 2, 3])
def test_every_style_is_served_places_are_unique_and_devices_differ_by_one_model_at_most(
    devices: int, styles: int, per_device: int
) -> None:
    gpus = [Device(f"gpu{n}", str(n)) for n in range(devices)]
    plan = place([f"s{n}" for n in range(styles)], gpus, cores=8, per_device=per_device)
    loads = [len(held) for held in layout(plan).values()]
    assert len({slot.style for slot in plan.slots}) == styles
    assert len({slot.place for slot in plan.slots}) == len(plan.slots) == max(styles, devices * per_device)
    assert max(loads) - min(loads) <= 1


@pytest.mark.parametrize("styles", [(), ("wave", "wave")])
def test_no_styles_or_a_style_named_twice_is_refused(styles: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="named once"):
        place(styles, [], cores=2)


def cards(*free_mb: int | None) -> list[Device]:
    """GPUs with so much free memory."""
    return [Device(f"gpu{n}", f"GPU-{n}", free) for n, free in enumerate(free_mb)]


@pytest.mark.parametrize(
    ("free_mb", "styles", "per_device"),
    [
        pytest.param((16_000,) * 4, 6, 2, id="4×16 GB, two models each"),
        pytest.param((8_000,), 4, 2, id="1×8 GB, four styles"),
        pytest.param((4_700, 4_700), 4, 2, id="MIG slices"),
        pytest.param((None,), 6, 16, id="memory nobody knows"),
        pytest.param((), 6, 2, id="no GPU"),
    ],
)
def test_a_placement_that_fits_is_taken(free_mb: tuple[int | None, ...], styles: int, per_device: int) -> None:
    require_room(place(SIX[:styles], cards(*free_mb), cores=4, per_device=per_device), TILE_MB)


@pytest.mark.parametrize(
    ("free_mb", "styles", "per_device", "said"),
    [
        pytest.param(
            (16_000,) * 4, 6, 9, "9 models of 2000 MB will not fit on gpu0, gpu1, gpu2, gpu3 (16000 MB free); "
            "--per-device 8 fits", id="too many a device",
        ),
        pytest.param(
            (8_000,), 6, 2, "6 models of 2000 MB will not fit on gpu0 (8000 MB free); "
            "--per-device 4 fits with 4 of the 6 --styles", id="too many styles for one small card",
        ),
        pytest.param(
            (16_000, 3_000, 16_000), 4, 2, "2 models of 2000 MB will not fit on gpu1 (3000 MB free); "
            "--devices 0,2 --per-device 2 fits", id="a card somebody else uses",
        ),
        pytest.param(
            (4_700, 3_000), 2, 2, "2 models of 2000 MB will not fit on gpu1 (3000 MB free); "
            "--devices 0 --per-device 2 fits", id="unequal slices",
        ),
        pytest.param(
            (1_900,), 1, 1, "1 model of 2000 MB will not fit on gpu0 (1900 MB free); --devices cpu needs none of it",
            id="no room at all",
        ),
    ],
)  # fmt: skip
def test_a_placement_that_does_not_fit_is_refused_with_one_that_does(
    free_mb: tuple[int, ...], styles: int, per_device: int, said: str
) -> None:
    plan = place(SIX[:styles], cards(*free_mb), cores=4, per_device=per_device)
    with pytest.raises(UsageError) as refused:
        require_room(plan, TILE_MB)
    assert str(refused.value) == said


@pytest.mark.parametrize("seed", range(60))
def test_what_is_said_to_fit_fits(seed: int) -> None:
    random_ = random.Random(seed)
    devices = cards(*(random_.choice([500, 2_000, 5_000, 8_000, 16_000]) for _ in range(random_.randint(1, 5))))
    styles = SIX[: random_.randint(1, 6)]
    try:
        require_room(place(styles, devices, cores=4, per_device=random_.randint(1, 8)), TILE_MB)
    except UsageError as refused:
        said = str(refused)
        chosen = re.search(r"--devices ([\d,]+)", said)
        each = re.search(r"--per-device (\d+)", said)
        fewer = re.search(r"with (\d+) of", said)
        if each is None:
            assert "--devices cpu" in said
            assert max(device.free_mb or 0 for device in devices) < 2000
            return
        kept = [devices[int(number)] for number in chosen[1].split(",")] if chosen else devices
        count = int(fewer[1]) if fewer else len(styles)
        require_room(place(styles[:count], kept, cores=4, per_device=int(each[1])), TILE_MB)
