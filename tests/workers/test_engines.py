"""The engines paint alike, leave the cores to everybody, and take the classic checkpoints too."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.workers.tiny import Pixels, StyleFiles
from workers.classic_network import TransformerNet
from workers.network import load
from workers.openvino_engine import OpenVinoEngine
from workers.torch_engine import CudaEngine, TorchEngine, load_torch_engine, painting_step


@pytest.fixture
def frame(photo: Pixels) -> Pixels:
    return np.asarray(cv2.resize(photo, (320, 240)), np.uint8)


def difference(one: Pixels, other: Pixels) -> tuple[int, float]:
    """Largest and mean absolute difference, in 1/255."""
    apart = cv2.absdiff(one, other)
    return int(apart.max()), float(apart.mean())


def test_openvino_and_torch_paint_the_same_within_one_step(tiny: StyleFiles, frame: Pixels) -> None:
    openvino = OpenVinoEngine(tiny.export, threads=1, precision="f32").paint(frame)
    torch_cpu = load_torch_engine(tiny.torch_file, device="cpu", threads=1).paint(frame)
    most, mean = difference(openvino, torch_cpu)
    assert openvino.std() > 20, "a flat painting proves nothing"
    assert most <= 1
    assert mean < 0.05


def test_openvinos_own_precision_stays_within_what_an_eye_can_see(tiny: StyleFiles, frame: Pixels) -> None:
    exact = OpenVinoEngine(tiny.export, threads=1, precision="f32").paint(frame)
    chosen = OpenVinoEngine(tiny.export, threads=1).paint(frame)
    most, mean = difference(exact, chosen)
    assert most <= 12
    assert mean < 1.5


def test_half_precision_keeps_to_the_full_one(tiny: StyleFiles, frame: Pixels) -> None:
    full = load_torch_engine(tiny.torch_file, device="cpu", threads=1)
    half = TorchEngine(load(tiny.torch_file), full, dtype=torch.float16)
    most, mean = difference(full.paint(frame), half.paint(frame))
    assert most <= 3
    assert mean < 0.3


def test_an_engine_leaves_its_input_alone_and_hands_out_fresh_pictures(tiny: StyleFiles, frame: Pixels) -> None:
    for engine in (
        OpenVinoEngine(tiny.export, threads=1),
        load_torch_engine(tiny.torch_file, device="cpu", threads=1),
    ):
        before = frame.copy()
        first = engine.paint(frame)
        kept = first.copy()
        engine.paint(255 - frame)
        assert np.array_equal(frame, before)
        assert np.array_equal(first, kept)


def test_pixels_that_may_not_be_written_are_painted_like_others(tiny: StyleFiles, frame: Pixels) -> None:
    """Raw pixels lie in the message they came with."""
    for engine in (
        OpenVinoEngine(tiny.export, threads=1),
        load_torch_engine(tiny.torch_file, device="cpu", threads=1),
    ):
        raw = np.frombuffer(frame.tobytes(), np.uint8).reshape(frame.shape)
        assert np.array_equal(engine.paint(raw), engine.paint(frame))


def test_the_order_of_colours_survives(tiny: StyleFiles) -> None:
    """A BGR mix-up in one engine alone would pass every grey test."""
    blue = np.zeros((32, 32, 3), np.uint8)
    blue[..., 0] = 255
    openvino = OpenVinoEngine(tiny.export, threads=1, precision="f32").paint(blue)
    assert difference(openvino, load_torch_engine(tiny.torch_file, device="cpu", threads=1).paint(blue))[0] <= 1
    assert difference(openvino, openvino[..., ::-1])[0] > 5


def test_more_sizes_than_are_kept_compiled_still_paint(tiny: StyleFiles) -> None:
    engine = OpenVinoEngine(tiny.export, threads=1)
    sizes = [(16 + 8 * n, 24) for n in range(7)]
    for height, width in [*sizes, *sizes]:
        assert engine.paint(np.zeros((height, width, 3), np.uint8)).shape == (height, width, 3)


def test_classic_checkpoints_load_with_old_key_names_and_paint(tmp_path: Path, frame: Pixels) -> None:
    network = TransformerNet()
    state = {**network.state_dict(), "in1.running_mean": torch.zeros(32), "in1.running_var": torch.ones(32)}
    torch.save(state, tmp_path / "candy.pth")
    engine = load_torch_engine(tmp_path / "candy.pth", device="cpu", threads=2)
    small = frame[:64, :64]
    assert engine.paint(small).shape == small.shape
    exact = painting_step(network, torch.float32)(torch.from_numpy(small.copy())).numpy()
    assert np.array_equal(engine.paint(small), exact)


# Paints in one thread while another notes which cores each thread of the process may use; prints the narrowest.
_WATCHED_WORKER = """
import os, sys, threading
from pathlib import Path
import numpy as np
from workers.openvino_engine import OpenVinoEngine

engine = OpenVinoEngine(Path(sys.argv[1]), threads=1)
done = threading.Event()
seen = []

def watch():
    while not done.wait(0.001):
        for thread in os.listdir("/proc/self/task"):
            try:
                seen.append(sorted(os.sched_getaffinity(int(thread))))
            except ProcessLookupError:
                pass

# The first painting looks at the cores one by one to learn what they are.
engine.paint(np.zeros((240, 320, 3), np.uint8))
watcher = threading.Thread(target=watch)
watcher.start()
for _ in range(30):
    engine.paint(np.zeros((240, 320, 3), np.uint8))
done.set()
watcher.join()
print(min(seen, key=len))
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux tells a thread's cores")
def test_two_workers_may_use_every_core(tiny: StyleFiles) -> None:
    """OpenVINO's own pinning keeps a one-thread worker on the first core while it paints, hence all of them."""
    children = [
        subprocess.Popen([sys.executable, "-c", _WATCHED_WORKER, str(tiny.export)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    every = sorted(os.sched_getaffinity(0))
    assert [child.communicate(timeout=30)[0].strip() for child in children] == [str(every)] * 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA card")
def test_the_gpu_paints_as_the_cpu_does(tiny: StyleFiles, frame: Pixels) -> None:
    exact = load_torch_engine(tiny.torch_file, device="cpu", threads=1)
    engine = CudaEngine(load(tiny.torch_file), exact, device="cuda:0")
    for pixels in (frame, 255 - frame, frame[:64, :64], frame):
        most, mean = difference(exact.paint(pixels), engine.paint(pixels))
        assert most <= 3
        assert mean < 0.3
