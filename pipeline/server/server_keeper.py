"""Keeps the embedded server for as long as any command uses it. A script of its own: `shared_server.py` starts it.

    python -I -S server_keeper.py STEM URL SERVER…

STEM is the server's socket without its suffix. Every command that uses the server holds a shared lock on `STEM.users`;
the kernel takes it away when the command ends, however that happens. Once this process gets that lock for itself nobody
is left: it takes the URL away, ends the server, and ends. Until then it starts a server that died again, empty. Its own
lock on `STEM.keeper` says that it lives. Standard library only: it starts in 20 ms, and stays small.
"""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

_LOOK_S = 0.1
_STOP_S = 5.0
# A server that lives no longer than this did not start; so often in a row, it never will.
_SHORT_LIFE_S, _SHORT_LIVES = 1.0, 3
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Keep the server; return 0 once nobody uses it, 1 when it does not start."""
    stem, url, *argv = sys.argv[1:]
    with open(f"{stem}.users", "a") as users, open(f"{stem}.keeper", "w") as own:
        fcntl.flock(own, fcntl.LOCK_EX)
        server = _start(argv)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            return _keep(server, argv, users.fileno(), stem)
        finally:
            _remove_url(os.path.dirname(stem), url)
            _end(server[0])
            for suffix in ("sock", "users", "keeper"):
                with suppress(OSError):
                    os.unlink(f"{stem}.{suffix}")


def _keep(server: "list[subprocess.Popen[bytes]]", argv: list[str], users: int, stem: str) -> int:
    began_s, short_lives = time.monotonic(), 0
    while not _is_free(users):
        if server[0].poll() is not None:
            short_lives = short_lives + 1 if time.monotonic() - began_s < _SHORT_LIFE_S else 0
            if short_lives == _SHORT_LIVES or not os.path.exists(f"{stem}.sock"):
                return 1
            sys.stdout.write(f"the server ended with {server[0].returncode}; starting it again, empty\n")
            sys.stdout.flush()
            with suppress(OSError):
                os.unlink(f"{stem}.sock")
            server[:], began_s = _start(argv), time.monotonic()
        time.sleep(_LOOK_S)
    return 0


def _start(argv: list[str]) -> "list[subprocess.Popen[bytes]]":
    # This process has one thread, for which `preexec_fn` is safe.
    return [subprocess.Popen(argv, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)]  # noqa: PLW1509


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))


def _is_free(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_url(folder: str, url: str) -> None:
    path = os.path.join(folder, "broker-url")
    # The folder may be gone, or another server's URL stand there.
    with suppress(OSError):
        with open(path) as file:
            is_ours = file.read().strip() == url
        if is_ours:
            os.unlink(path)


def _end(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    try:
        server.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


if __name__ == "__main__":
    sys.exit(main())
