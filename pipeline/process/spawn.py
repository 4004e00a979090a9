"""Child processes that cannot outlive us: each in a session of its own, each ended when we end, however that happens.

Used for the embedded server and the workers. A session of its own keeps Ctrl-C at the terminal from reaching a child
before its owner has decided in which order things stop.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from signal import SIGKILL, Signals
from typing import IO

# Run in the child before it becomes what it is to be. On Linux the kernel ends it with us: PR_SET_PDEATHSIG (1)
# survives execve; asking for the parent once more closes the gap in which we may have died before the call. Elsewhere
# a watcher, the child's own child, reads a pipe whose other end only we hold open; it ends when its parent does.
_SHIM = """\
import os, sys
signal, parent, pipe = (int(word) for word in sys.argv[1:4])
argv = sys.argv[4:]
if pipe < 0:
    import ctypes
    ctypes.CDLL(None).prctl(1, signal)
    if os.getppid() != parent:
        os._exit(1)
else:
    child = os.getpid()
    if os.fork() == 0:
        import select
        while os.getppid() == child:
            if select.select([pipe], [], [], 1.0)[0]:
                os.kill(child, signal)
                break
        os._exit(0)
    os.close(pipe)
os.execvp(argv[0], argv)
"""
_HAS_DEATH_SIGNAL = sys.platform == "linux"

_CLI = Path(__file__).resolve().parents[2] / "cli.py"


def painter(*words: str) -> list[str]:
    """Return the command line of `painter <words>`, with this Python and this code, whatever the current folder."""
    return [sys.executable, str(_CLI), *words]


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


@lru_cache(maxsize=1)
def _life_pipe() -> tuple[int, int]:
    """Return a pipe's ends: one for watchers; the other is ours alone, and closes when this process ends."""
    return os.pipe()


def _start(
    argv: Sequence[str],
    env: Mapping[str, str] | None,
    stdout: int | IO[bytes] | None,
    stderr: int | IO[bytes] | None,
    death_signal: Signals,
) -> "subprocess.Popen[bytes]":
    pipe = -1 if _HAS_DEATH_SIGNAL else _life_pipe()[0]
    shim = [sys.executable, "-I", "-S", "-c", _SHIM, str(int(death_signal)), str(os.getpid()), str(pipe)]
    return subprocess.Popen(
        [*shim, *argv],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        pass_fds=() if _HAS_DEATH_SIGNAL else (pipe,),
    )
