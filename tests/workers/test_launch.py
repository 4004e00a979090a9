"""The launcher as tables of what its children do; no process is started, and time is a number."""

import re
from pathlib import Path

import pytest

from pipeline.errors import WorkerLost
from pipeline.flow.placement import Device, Plan, Slot, place
from pipeline.protocol.records import Heartbeat, Rename
from tests.workers.fake_machine import Beats, Machine
from workers.exit_codes import EXIT_BROKEN, EXIT_CANNOT_START, EXIT_DRAINED, EXIT_HUNG
from workers.launch import Launcher, command, environment

GPU = Device("gpu3", "GPU-abc")


def test_each_slot_gets_its_process_named_after_style_place_and_host() -> None:
    machine = Machine()
    fleet = machine.fleet(("wave", "starry"))
    fleet.start()
    assert [name.split(".")[0] for name in fleet.names] == ["wave@cpu0", "starry@cpu1"]
    assert [argv[argv.index("-Q") + 1] for argv in machine.commands] == ["style.wave", "style.starry"]
    assert [argv[argv.index("-n") + 1] for argv in machine.commands] == fleet.names


def test_a_name_that_is_taken_is_not_given_twice() -> None:
    first, second = Machine(), Machine()
    one = first.fleet()
    one.start()
    other = second.fleet()
    other.start([Heartbeat(one.names[0], "wave", "cpu", 1)])
    assert other.names[0].startswith("wave@cpu0b.")


def test_a_gpu_slot_sees_one_card_and_a_cpu_slot_its_share_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-abc,GPU-def")
    gpu = environment(Slot("wave", GPU, 1, 1, 2), "redis://here", None)
    assert (gpu["CUDA_VISIBLE_DEVICES"], gpu["PAINTER_DEVICE"], gpu["BROKER_URL"]) == (
        "GPU-abc",
        "cuda:0",
        "redis://here",
    )
    cpu = environment(Slot("wave", Device("cpu"), 0, 4, 1), "redis://here", Path("candy.pth"))
    assert (cpu["PAINTER_DEVICE"], cpu["PAINTER_THREADS"]) == ("cpu", "4")
    assert Path(cpu["PAINTER_WEIGHTS"]).is_absolute()
    assert "PATH" in cpu


def test_a_gpu_slot_takes_two_tickets_at_once() -> None:
    argv = command(Slot("wave", GPU, 1, 1, 2), "wave@gpu3-1.host")
    assert argv[argv.index("-c") + 1] == "2"
    assert argv[argv.index("-P") + 1] == "threads"


@pytest.mark.parametrize(
    "code", [-9, EXIT_HUNG, EXIT_BROKEN, 0, 1], ids=["killed", "hung", "broken", "left", "crashed"]
)
def test_a_worker_that_dies_is_started_again_under_its_name(code: int) -> None:
    machine = Machine()
    fleet = machine.fleet()
    fleet.start()
    fleet.poll()
    assert len(machine.children) == 1
    machine.children[0].code = code
    fleet.poll()
    assert len(machine.children) == 2
    assert machine.commands[0] == machine.commands[1]
    assert fleet.pids == [machine.children[1].pid]


def test_a_worker_that_was_told_to_leave_stays_away() -> None:
    machine = Machine()
    fleet = machine.fleet()
    fleet.start()
    assert not fleet.is_drained
    machine.children[0].code = EXIT_DRAINED
    fleet.poll()
    assert len(machine.children) == 1
    assert fleet.is_drained
    fleet.stop()
    assert not fleet.is_drained


@pytest.mark.parametrize(
    ("pause_s", "rests"), [(14.0, True), (16.0, False)], ids=["five in a minute", "five in more than a minute"]
)
def test_a_slot_rests_after_five_deaths_within_a_minute_and_is_tried_again(
    tmp_path: Path, pause_s: float, rests: bool
) -> None:
    machine = Machine(says=b"line\nSegmentation fault\n")
    fleet = machine.fleet(("wave", "starry"), logs=tmp_path)
    said: list[str] = []
    fleet.on_failure = said.append
    fleet.start()
    for _ in range(5):
        machine.children[0 if len(machine.children) == 2 else -1].code = -11
        machine.now_s += pause_s
        fleet.poll()
    assert len(machine.children) == (6 if rests else 7)
    assert fleet.pids[-1] == 101, "the other slot goes on"
    if not rests:
        return
    assert len(said) == 1
    assert re.match(r"worker wave@cpu0\.\S+ died 5 times within 60 s, last with -11: .*Segmentation fault$", said[0])
    assert fleet.failures == {"wave": said[0]}
    for wait_s, children in ((59, 6), (61, 7)):
        machine.now_s = 5 * pause_s + wait_s
        fleet.poll()
        assert len(machine.children) == children
    assert fleet.failures == {}


def test_a_slot_that_cannot_start_is_not_tried_again_and_harms_no_other(tmp_path: Path) -> None:
    machine = Machine(says=b"warnings\nwave@cpu0.host: weights of style 'wave' cannot be loaded\n")
    fleet = machine.fleet(("wave", "starry"), logs=tmp_path)
    said: list[str] = []
    fleet.on_failure = said.append
    fleet.start()
    machine.children[0].code = EXIT_CANNOT_START
    for _ in range(2):
        fleet.poll()
    assert said == ["a worker cannot start: wave@cpu0.host: weights of style 'wave' cannot be loaded"]
    assert fleet.failures == {"wave": said[0]}
    assert fleet.pids == [101]
    machine.now_s += 10_000
    fleet.poll()
    assert len(machine.children) == 2
    machine.children[1].code = EXIT_CANNOT_START
    with pytest.raises(WorkerLost, match=r"weights of style 'wave' cannot be loaded$"):
        fleet.poll()


def test_a_machine_is_ready_once_every_slot_is_or_has_failed() -> None:
    machine = Machine()
    fleet = machine.fleet(("wave", "starry"))
    fleet.on_failure = lambda why: None
    fleet.start()
    machine.children[0].code = EXIT_CANNOT_START
    fleet.wait_ready(Beats(machine, fleet.names[1], [None, machine.children[1].pid]), timeout_s=10)
    assert machine.now_s == 2
    assert list(fleet.failures) == ["wave"]


def test_a_slot_that_does_not_get_ready_is_ended_and_the_others_serve() -> None:
    machine = Machine()
    fleet = machine.fleet(("wave", "starry"))
    fleet.on_failure = lambda why: None
    fleet.start()
    fleet.wait_ready(Beats(machine, fleet.names[1], [machine.children[1].pid] * 9), timeout_s=5)
    assert machine.history == ["kill 100", "ended 100"]
    assert list(fleet.failures) == ["wave"]


def test_workers_are_asked_to_end_together_and_then_waited_for() -> None:
    machine = Machine()
    with machine.fleet(("wave", "starry")):
        pass
    assert machine.history == ["terminate 100", "terminate 101", "ended 100", "ended 101"]


def test_a_worker_that_does_not_end_is_killed_after_its_grace() -> None:
    machine = Machine(deaf=True)
    fleet = machine.fleet()
    fleet.start()
    fleet.stop()
    fleet.stop()
    assert machine.history == ["terminate 100", "wait 100 10", "kill 100", "ended 100"]


def test_workers_end_when_the_block_around_them_fails() -> None:
    machine = Machine()
    with pytest.raises(KeyboardInterrupt), machine.fleet():
        raise KeyboardInterrupt
    assert machine.history[0] == "terminate 100"


def test_ready_means_that_this_very_process_gave_a_sign_of_life() -> None:
    machine = Machine()
    fleet = machine.fleet()
    fleet.start()
    stale = 99
    fleet.wait_ready(Beats(machine, fleet.names[0], [None, stale, machine.children[0].pid]), timeout_s=10)
    assert machine.now_s == 3


def test_a_worker_that_does_not_get_ready_is_named() -> None:
    machine = Machine()
    fleet = machine.fleet()
    fleet.start()
    with pytest.raises(WorkerLost, match=r"wave@cpu0.* not ready after 5 s"):
        fleet.wait_ready(Beats(machine, fleet.names[0], []), timeout_s=5)


def test_an_empty_plan_starts_nothing() -> None:
    machine = Machine()
    with Launcher(Plan(()), "redis://here", spawn=machine.spawn) as fleet:
        fleet.poll()
    assert machine.commands == []


def test_a_module_in_the_users_folder_is_not_taken_for_a_library() -> None:
    plan = place(["wave"], [], cores=2)
    assert environment(plan.slots[0], "redis://desk", None)["PYTHONSAFEPATH"] == "1"


def test_a_slot_changes_its_style_once_its_worker_has_left() -> None:
    machine = Machine(deaf=True)
    fleet = machine.fleet(("wave", "starry"))
    fleet.start()
    old = fleet.names[1]
    new = fleet.replacement_of(old, "wave", [])
    assert new.startswith("wave@cpu1.")
    first = fleet.names[0]
    fleet.move(Rename(old, new))
    fleet.move(Rename(old, new))
    fleet.poll()
    assert machine.history == ["terminate 101"]
    assert fleet.names == [first, old]
    machine.children[1].code = 0
    fleet.poll()
    assert fleet.names == [first, new]
    assert machine.commands[-1][machine.commands[-1].index("-Q") + 1] == "style.wave"
    assert machine.commands[-1][machine.commands[-1].index("-n") + 1] == new


def test_a_slot_whose_name_is_taken_elsewhere_gets_a_letter() -> None:
    fleet = Machine().fleet(("wave", "starry"))
    fleet.start()
    plain = fleet.replacement_of(fleet.names[1], "wave", [])
    assert fleet.replacement_of(fleet.names[1], "wave", [plain]).startswith("wave@cpu1b.")


def test_a_worker_that_does_not_make_room_in_its_grace_is_killed() -> None:
    machine = Machine(deaf=True)
    fleet = machine.fleet(("wave", "starry"))
    fleet.start()
    old = fleet.names[1]
    fleet.move(Rename(old, fleet.replacement_of(old, "wave", [])))
    machine.now_s = 10.5
    fleet.poll()
    fleet.poll()
    assert machine.history == ["terminate 101", "kill 101"]
    assert [name.partition("@")[0] for name in fleet.names] == ["wave", "wave"]


def test_a_worker_that_is_drained_while_it_makes_room_has_no_heir() -> None:
    machine = Machine(deaf=True)
    fleet = machine.fleet(("wave", "starry"))
    fleet.start()
    old = fleet.names[1]
    fleet.move(Rename(old, fleet.replacement_of(old, "wave", [])))
    machine.children[1].code = EXIT_DRAINED
    fleet.poll()
    assert len(machine.children) == 2
