"""Children end with the process that spawned them, by the kernel or, where it does not offer that, by a watcher."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipeline.process import spawn as module
from pipeline.process.spawn import painter, spawn
from tests.conftest import WaitUntil

ROOT = Path(__file__).parents[2]
PARENT = """
import sys, time
from pipeline.process import spawn
spawn._HAS_DEATH_SIGNAL = sys.argv[1] == "kernel"
print(spawn.spawn([sys.executable, "-c", "import time; time.sleep(60)"]).pid, flush=True)
time.sleep(60)
"""
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")


def alive(pids: list[int]) -> list[int]:
    """Those that run: a zombie that nobody has waited for does not."""
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("way", [pytest.param("kernel", marks=linux_only), "watcher"])
def test_a_child_ends_when_its_parent_is_killed(way: str, wait_until: WaitUntil) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, way], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        # The watcher is the child's own child.
        wait_until(lambda: way == "kernel" or psutil.Process(child).children(), 10, "the watcher")
        everybody = [child, *(process.pid for process in psutil.Process(child).children())]
        assert alive(everybody) == everybody
    finally:
        parent.kill()
        parent.communicate()
    wait_until(lambda: not alive(everybody), 10, "child and watcher to end")


def test_a_watcher_ends_with_its_child(monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil) -> None:
    monkeypatch.setattr(module, "_HAS_DEATH_SIGNAL", False)
    child = spawn([sys.executable, "-c", "import time; time.sleep(60)"])
    wait_until(lambda: psutil.Process(child.pid).children(), 10, "the watcher")
    (watcher,) = psutil.Process(child.pid).children()
    os.kill(child.pid, signal.SIGTERM)
    assert child.wait(10) == -signal.SIGTERM
    wait_until(lambda: not alive([watcher.pid]), 10, "the watcher to end")


def test_painter_names_this_python_and_this_code() -> None:
    assert painter("styles") == [sys.executable, str(ROOT / "cli.py"), "styles"]
