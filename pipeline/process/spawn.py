"""Child processes that cannot outlive us: each in a session of its own, each ended by the kernel when we end.

Used for the embedded server and the workers. A session of its own keeps Ctrl-C at the terminal from reaching a child
before its owner has decided in which order things stop.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from signal import SIGKILL, Signals
from typing import IO

# Run in the child before it becomes what it is to be. PR_SET_PDEATHSIG (1) survives execve; asking for the parent once
# more closes the gap in which we may have died before the call. Elsewhere than on Linux it does nothing.
_SHIM = """\
import ctypes, os, sys
signal, parent = int(sys.argv[1]), int(sys.argv[2])
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal)
    if os.getppid() != parent:
        os._exit(1)
os.execvp(sys.argv[3], sys.argv[3:])
"""


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    death_signal: Signals = SIGKILL,
) -> "subprocess.Popen[bytes]":
    """Start `argv` in its own session; it gets `death_signal` when this process ends, however that happens."""
    return _spawner().submit(_start, argv, env, stdout, stderr, death_signal).result()


@lru_cache(maxsize=1)
def _spawner() -> ThreadPoolExecutor:
    # The kernel watches the *thread* that forked, not the process: one thread, alive to the end, forks for all.
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


def _start(
    argv: Sequence[str],
    env: Mapping[str, str] | None,
    stdout: int | IO[bytes] | None,
    stderr: int | IO[bytes] | None,
    death_signal: Signals,
) -> "subprocess.Popen[bytes]":
    shim = [sys.executable, "-I", "-S", "-c", _SHIM, str(int(death_signal)), str(os.getpid())]
    return subprocess.Popen(
        [*shim, *argv],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
