"""Does it stay as it is? Cost a frame and memory at 100, 1 000 and 10 000 frames; rate of 1 to 16 slots of 60 ms each.

A slot is a worker process with a painter that sleeps 60 ms, as the first demo's cards took 50 to 80. Sixteen of them,
server and desk share this machine's cores, which is what ends the straight line here.
"""

from functools import partial
from statistics import median

from benchmarks.harness import Harness, Plan, harness, rss_mib, spread, turns
from benchmarks.pipe import Cost, cost, desk

#: Frames in a stream → streams one after the other, so that CPU clocks of 10 ms have something to count.
_LENGTHS = {100: 10, 1_000: 2, 10_000: 1}
_SLOTS = (1, 2, 4, 8, 16)
_FRAMES_A_SLOT = 50
_STYLE, _SLEEPING = "test-bytes", "test-sleep-60"


def measure(plan: Plan) -> dict[str, object]:
    """Return cost and memory by length, and frames a second by slots with their share of the straight line."""
    return {"length": _by_length(plan), "slots": _by_slots(plan)}


def _by_length(plan: Plan) -> dict[str, object]:
    rounds, lengths = (1, (100, 1_000)) if plan.quick else (3, tuple(_LENGTHS))
    with harness(_STYLE, 1, events=True) as on:
        desk(on.broker.url, lengths[0], _STYLE, 1)
        found = turns(plan, {f"{frames} frames": partial(_stream, on, frames) for frames in lengths}, rounds)
    return {str(frames): _summed(each) for frames, each in zip(lengths, found.values(), strict=True)}


def _stream(on: Harness, frames: int) -> tuple[Cost, dict[str, float]]:
    """Return what frames of streams of this length cost, and what each process holds when they are through."""
    taken = cost(on, frames, _STYLE, _LENGTHS[frames])
    return taken, {"desk": taken.desk_mib, **{name: rss_mib(pid) for name, pid in on.pids.items()}}


def _summed(each: list[tuple[Cost, dict[str, float]]]) -> dict[str, object]:
    costs, memory = zip(*each, strict=True)
    cpu_ms = {name: round(median(one.cpu_ms[name] for one in costs), 2) for name in costs[0].cpu_ms}
    sums = [sum(one.cpu_ms.values()) for one in costs]
    return {
        "fps": spread([rate for one in costs for rate in one.rates], 0),
        "cpu_ms_per_frame": cpu_ms,
        "cpu_ms_of_all": spread(sums),
        # Of the first turn, in which no process has yet seen a longer stream.
        "rss_mib": memory[0],
    }


def _by_slots(plan: Plan) -> dict[str, object]:
    rounds, slots = (1, _SLOTS[:3]) if plan.quick else (3, _SLOTS)
    found: dict[str, object] = {}
    alone = 0.0
    for count in slots:
        plan.say(f"{count} slots of 60 ms, {rounds} rounds")
        with harness(_SLEEPING, count, events=True) as on:
            taken = cost(on, _FRAMES_A_SLOT * count, _SLEEPING, rounds)
        fps = median(taken.rates)
        alone = alone or fps
        found[str(count)] = {
            "fps": spread(taken.rates, 1),
            "of_linear": round(fps / (count * alone), 3),
            "cpu_ms_per_frame": round(sum(taken.cpu_ms.values()), 2),
        }
    return found
