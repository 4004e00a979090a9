"""One embedded server for all commands of a user: the first one starts it, whoever is there uses it, the last one out
ends it.

It runs under a keeper (`server_keeper.py`), a process of no command, which holds it up while a command uses it. Locks
say who does, so a command that is killed counts as gone.
"""

import fcntl
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from pipeline.errors import ServerUnreachable
from pipeline.process.config import EMBEDDED_URL_FILE, runtime_dir, settings
from pipeline.server.connection import answers, open_client
from pipeline.server.embedded import EmbeddedServer, folder_lock, is_listening, log_of, sweep

log = logging.getLogger(__name__)

_START_S = 10.0
# The keeper looks every 0.1 s, and gives the server 5 s.
_STOP_S = 7.0
_LOOK_S = 0.01
_KEEPER = Path(__file__).with_name("server_keeper.py")


@contextmanager
def join_or_start() -> Iterator[tuple[str, "SharedServer"]]:
    """Yield the embedded server's URL, and the server, which its user polls. Raises `ServerUnreachable`."""
    server = SharedServer(runtime_dir())
    server.join_or_start()
    try:
        yield server.url, server
    finally:
        server.leave()


class SharedServer:
    """The embedded server of `folder` as one command uses it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._url_file = folder / EMBEDDED_URL_FILE
        self._users: IO[str] | None = None
        self._keeper: subprocess.Popen[bytes] | None = None
        self.url = ""

    @property
    def pid(self) -> int | None:
        """The server's process id, None while it does not answer."""
        with suppress(Exception), open_client(self.url, timeout_s=2.0, retries=0) as client:
            return int(client.info("server")["process_id"])
        return None

    def join_or_start(self) -> None:
        """Use the server that runs here, else start one."""
        with folder_lock(self._folder):
            if not self._join():
                sweep(self._folder)
                self._start(EmbeddedServer(self._folder, maxmemory_mb=settings().maxmemory_mb))

    def poll(self) -> None:
        """Start keeper and server again if the keeper was killed; the server by itself is the keeper's affair."""
        if self._users is None or (_is_held(self._path("keeper")) and self._is_counted()):
            return
        with folder_lock(self._folder):
            self._use()
            if not _is_held(self._path("keeper")):
                log.warning("the keeper of the embedded server is gone; starting both again, empty")
                self._start(
                    EmbeddedServer(self._folder, maxmemory_mb=settings().maxmemory_mb, socket=self._path("sock"))
                )

    def leave(self) -> None:
        """Use the server no more; if nobody else does, wait for its end. Idempotent."""
        users, self._users = self._users, None
        if users is None:
            return
        # The folder may be gone: a logout takes XDG_RUNTIME_DIR away.
        with users, folder_lock(self._folder) if self._folder.exists() else nullcontext():
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            if self._keeper is not None:
                self._keeper.terminate()
            fcntl.flock(users, fcntl.LOCK_UN)
            self._wait_for_end()

    def _join(self) -> bool:
        """Use the server whose URL stands in the folder. False: there is none that answers."""
        if not self._url_file.exists():
            return False
        self.url = self._url_file.read_text().strip()
        # Without that file it is an older release's, whose owner ends it.
        if self._path("users").exists() and not self._use():
            return False
        if answers(self.url):
            return True
        self._let_go()
        return False

    def _start(self, server: EmbeddedServer) -> None:
        """Start a keeper, and with it the server. The caller holds the folder's lock."""
        self.url = server.url
        self._use()
        self._make_way()
        logfile = log_of(self._path("sock"))
        stem = str(self._path("sock").with_suffix(""))
        with logfile.open("wb") as output:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_KEEPER), stem, server.url, *server.argv()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C at our terminal is not its affair.
                start_new_session=True,
            )
        # It may end long after we do, or before: nobody else collects it meanwhile.
        threading.Thread(target=self._keeper.wait, name="keeper", daemon=True).start()
        deadline = time.monotonic() + _START_S
        while not answers(self.url):
            if self._keeper.poll() is not None or time.monotonic() > deadline:
                self._let_go()
                tail = logfile.read_text(errors="replace").strip().splitlines()[-1:]
                raise ServerUnreachable(f"the embedded server did not start: {' '.join(tail) or 'no answer'}")
            time.sleep(_LOOK_S)
        if not self._url_file.exists() or not answers(self._url_file.read_text().strip()):
            fresh = self._url_file.with_suffix(".new")
            fresh.write_text(self.url)
            fresh.replace(self._url_file)

    def _make_way(self) -> None:
        """Wait for the end of a server whose keeper was killed: it removes its socket, which is to be ours."""
        deadline = time.monotonic() + _STOP_S
        while is_listening(self._path("sock")) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        self._path("sock").unlink(missing_ok=True)

    def _use(self) -> bool:
        """Count as a user. False: the server is being ended."""
        if self._users is not None and self._is_counted():
            return True
        self._let_go()
        users = self._path("users").open("a")
        try:
            fcntl.flock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            users.close()
            return False
        self._users = users
        return self._is_counted()

    def _is_counted(self) -> bool:
        """Whether our lock is on the file that the keeper looks at, not on one that it has removed."""
        try:
            return self._users is not None and os.path.samestat(
                os.fstat(self._users.fileno()), self._path("users").stat()
            )
        except FileNotFoundError:
            return False

    def _let_go(self) -> None:
        if self._users is not None:
            self._users.close()
            self._users = None

    def _wait_for_end(self) -> None:
        deadline = time.monotonic() + _STOP_S
        while (_is_held(self._path("keeper")) or self._is_running()) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)

    def _is_running(self) -> bool:
        return self._keeper is not None and self._keeper.poll() is None

    def _path(self, suffix: str) -> Path:
        return Path(urlsplit(self.url).path).with_suffix(f".{suffix}")


def _is_held(path: Path) -> bool:
    """Whether somebody holds `path`'s lock; not so where there is no such file."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
