"""Placement as tables: what a user gets for their styles on their machine."""

import pytest

from pipeline.errors import UsageError
from pipeline.placement import CPU, Device, Plan, place

SIX = ("wave", "starry", "cafe", "composition", "poppies", "moulin")
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
