"""The embedded server between owners that come and go, and the private folder they meet in."""

import fcntl
import os
import re
import signal
import socket
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest

from pipeline.errors import UsageError
from pipeline.process.config import EMBEDDED_URL_FILE, runtime_dir
from pipeline.server.connection import answers
from pipeline.server.embedded import EmbeddedServer, join_or_start

WaitUntil = Callable[..., None]
_COME_S = 5
_SOMEBODY_ELSE = 12345

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to somebody else")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder we make in the temporary one, where no `XDG_RUNTIME_DIR` is set; not made yet."""
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"power-painter-{os.getuid()}"


def mode(folder: Path) -> int:
    """A folder's permission bits."""
    return stat.S_IMODE(folder.lstat().st_mode)


def test_both_levels_of_the_runtime_folder_are_private(temporary: Path) -> None:
    assert runtime_dir() == temporary / "power-painter"
    assert (mode(temporary), mode(runtime_dir())) == (0o700, 0o700)


def test_a_runtime_folder_of_the_systems_is_not_ours_to_judge(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert runtime_dir() == tmp_path / "power-painter"
    assert mode(runtime_dir()) == 0o700


@as_root
@pytest.mark.parametrize("level", ["", "power-painter"], ids=["outer", "inner"])
def test_a_runtime_folder_of_another_user_is_refused(temporary: Path, level: str) -> None:
    runtime_dir()
    os.chown(temporary / level, _SOMEBODY_ELSE, _SOMEBODY_ELSE)
    with pytest.raises(UsageError, match=rf"{temporary / level} belongs to user {_SOMEBODY_ELSE}; set XDG_RUNTIME_DIR"):
        runtime_dir()


@as_root
def test_nothing_is_made_in_a_folder_of_another_user(temporary: Path) -> None:
    temporary.mkdir(mode=0o700)
    os.chown(temporary, _SOMEBODY_ELSE, _SOMEBODY_ELSE)
    with pytest.raises(UsageError, match="belongs to user"):
        runtime_dir()
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("level", ["", "power-painter"], ids=["outer", "inner"])
@pytest.mark.parametrize("bits", [0o755, 0o770, 0o702], ids=oct)
def test_a_runtime_folder_open_to_others_is_refused(temporary: Path, level: str, bits: int) -> None:
    runtime_dir()
    (temporary / level).chmod(bits)
    with pytest.raises(UsageError, match=re.escape(f"is open to others (mode {bits:04o}); chmod 700 it")):
        runtime_dir()


@pytest.mark.parametrize("target", ["mine", "nowhere"])
def test_a_link_is_no_runtime_folder_wherever_it_leads(temporary: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "mine").mkdir(mode=0o700)
    temporary.symlink_to(tmp_path / target)
    with pytest.raises(UsageError, match="is not a folder; remove it"):
        runtime_dir()


def test_a_command_that_starts_while_another_ends_gets_a_server_that_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    came, leave, told = Event(), Event(), list[str]()
    stop = EmbeddedServer.stop

    def come() -> None:
        with join_or_start() as (url, _):
            told.append(url)
            came.set()
            leave.wait(_COME_S)

    newcomer = Thread(target=come)

    def stop_slowly(first: EmbeddedServer) -> None:
        monkeypatch.setattr(EmbeddedServer, "stop", stop)
        newcomer.start()
        # Where the lock is held the newcomer waits for us.
        if not is_locked():
            assert came.wait(_COME_S)
        stop(first)

    monkeypatch.setattr(EmbeddedServer, "stop", stop_slowly)
    with join_or_start() as (_, first):
        assert first is not None
    try:
        assert came.wait(_COME_S)
        assert answers(told[0])
        assert url_file().read_text() == told[0]
    finally:
        leave.set()
        newcomer.join(_COME_S)
    assert not url_file().exists()


def test_a_server_started_again_leaves_the_one_that_came_meanwhile_alone(wait_until: WaitUntil) -> None:
    with join_or_start() as (next_url, following):
        assert following is not None
        kill(following, wait_until)
        with join_or_start() as (url, server):
            assert server is not None
            following.poll()
            assert following.url == next_url, "its workers know it by this"
            assert answers(next_url)
            assert answers(url)
            assert following.pid != server.pid
            assert url_file().read_text() == url
        assert answers(next_url)


def test_an_owner_that_ends_leaves_the_next_ones_url(wait_until: WaitUntil) -> None:
    first = join_or_start()
    _, server = first.__enter__()
    assert server is not None
    kill(server, wait_until)
    with join_or_start() as (url, _):
        first.__exit__(None, None, None)
        assert url_file().read_text() == url
        with join_or_start() as (joined, own):
            assert (joined, own) == (url, None)
            assert answers(joined)


def test_a_server_is_started_again_only_under_the_lock(
    server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    held: list[bool] = []
    start = EmbeddedServer.start

    def start_watched(own: EmbeddedServer) -> None:
        held.append(is_locked(tmp_path))
        start(own)

    monkeypatch.setattr(EmbeddedServer, "start", start_watched)
    kill(server, wait_until)
    server.poll()
    assert held == [True]
    assert answers(server.url)


def test_what_dead_owners_left_is_removed_and_the_living_stay() -> None:
    folder = runtime_dir()
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(folder / "living.sock"))
        living.listen()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(folder / "dead.sock"))
        for name in ("living", "dead"):
            (folder / f"server-{name}.log").touch()
        with join_or_start() as (_, server):
            assert server is not None
            assert len(list(folder.glob("*.sock"))) == len(list(folder.glob("*.log"))) == 2
        assert [path.name for path in folder.glob("*.sock")] == ["living.sock"]
        assert not (folder / "server-dead.log").exists()
        assert (folder / "server-living.log").exists()


def test_an_owner_ends_cleanly_after_a_logout_took_the_folder(tmp_path: Path) -> None:
    with join_or_start() as (url, server):
        assert server is not None
        runtime_dir().rename(tmp_path / "gone")
    assert not answers(url)
    assert server.pid is None


def url_file() -> Path:
    """Where the embedded server's URL stands."""
    return runtime_dir() / EMBEDDED_URL_FILE


def is_locked(folder: Path | None = None) -> bool:
    """Whether somebody holds the folder's lock."""
    with ((folder or runtime_dir()) / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def kill(server: EmbeddedServer, wait_until: WaitUntil) -> None:
    """Kill a server as the kernel does when memory is short, and wait for its end."""
    assert server.pid is not None
    pid = server.pid
    os.kill(pid, signal.SIGKILL)
    # Only looked at, for `poll` is to find it. A zombie cannot be waited for until its other threads ended too.
    wait_until(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None)
