"""Does it stay as it is? Cost a frame and memory at 100, 1 000 and 10 000 frames; rate of 1 to 16 slots of 60 ms each.

A slot is a worker process with a painter that sleeps 60 ms, as the first demo's cards took 50 to 80. Sixteen of them,
server and desk share this machine's cores, which is what ends the straight line here.
"""

import psutil

from benchmarks.ground import ground
from benchmarks.pipe import costs, desk

_LENGTHS = (100, 1_000, 10_000)
_SLOTS = (1, 2, 4, 8, 16)
_STYLE, _SLEEPING = "test-bytes", "test-sleep-60"
_MIB = 1 << 20


def measure(quick: bool) -> dict[str, object]:
    """Return cost and memory by length, and frames a second by slots with their share of the straight line."""
    return {
        "length": _by_length(_LENGTHS[:2] if quick else _LENGTHS),
        "slots": _by_slots(_SLOTS[:3] if quick else _SLOTS),
    }


def _by_length(lengths: tuple[int, ...]) -> dict[str, object]:
    found: dict[str, object] = {}
    with ground(_STYLE, 1, events=True) as on:
        desk(on.broker.url, _LENGTHS[0], _STYLE, 1)
        for frames in lengths:
            (fps,), cpu = costs(on, frames, _STYLE)
            memory = {name: round(psutil.Process(pid).memory_info().rss / _MIB, 1) for name, pid in on.pids.items()}
            found[str(frames)] = {
                "fps": round(fps),
                "cpu_ms_per_frame": cpu,
                "rss_mib": memory,
            }
    return found


def _by_slots(slots: tuple[int, ...]) -> dict[str, object]:
    found: dict[str, object] = {}
    alone = 0.0
    for count in slots:
        with ground(_SLEEPING, count, events=True) as on:
            (fps,), cpu = costs(on, 100 * count, _SLEEPING)
        alone = alone or fps
        found[str(count)] = {
            "fps": round(fps, 1),
            "of_linear": round(fps / (count * alone), 3),
            "cpu_ms_per_frame": round(sum(cpu.values()), 2),
        }
    return found
