"""The embedded server between commands that come and go, and the private folder they meet in."""

import fcntl
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Event, Thread

import psutil
import pytest

from pipeline.errors import ServerUnreachable, UsageError
from pipeline.process.config import EMBEDDED_URL_FILE, runtime_dir
from pipeline.server.connection import answers
from pipeline.server.embedded import EmbeddedServer, log_of
from pipeline.server.shared_server import join_or_start
from tests.waiting import WaitUntil

ROOT = Path(__file__).parents[2]
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


def test_the_last_one_out_ends_the_server(wait_until: WaitUntil) -> None:
    first, second = join_or_start(), join_or_start()
    url, server = first.__enter__()
    joined, other = second.__enter__()
    assert joined == url
    assert server.pid == other.pid is not None
    first.__exit__(None, None, None)
    wait_until(lambda: not is_locked())
    assert answers(url)
    assert url_file().read_text() == url
    second.__exit__(None, None, None)
    assert not answers(url)
    assert sorted(path.name for path in runtime_dir().iterdir()) == ["lock", log_of(Path(url)).name.split("?")[0]]


def test_a_command_that_starts_while_the_last_one_ends_gets_a_server_that_lives() -> None:
    for _ in range(5):
        came, leave, told = Event(), Event(), list[str]()

        def come(came: Event = came, leave: Event = leave, told: list[str] = told) -> None:
            with join_or_start() as (url, _):
                told.append(url)
                came.set()
                leave.wait(_COME_S)

        newcomer = Thread(target=come)
        with join_or_start():
            newcomer.start()
        try:
            assert came.wait(_COME_S)
            assert answers(told[0])
            assert url_file().read_text() == told[0]
        finally:
            leave.set()
            newcomer.join(_COME_S)
        assert not url_file().exists()


def test_a_server_that_is_killed_comes_back_empty_at_the_same_address(wait_until: WaitUntil) -> None:
    with join_or_start() as (url, server):
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: server.pid not in (None, pid))
        assert url_file().read_text() == url
    assert not answers(url)


def test_both_users_go_on_with_one_server_after_its_keeper_was_killed(wait_until: WaitUntil) -> None:
    with join_or_start() as (url, server), join_or_start() as (_, other):
        pid = server.pid
        os.kill(keeper_of(pid), signal.SIGKILL)
        wait_until(lambda: server.pid is None, what="the server ends with its keeper")
        for each in (other, server, other):
            each.poll()
        assert server.url == other.url == url
        assert server.pid == other.pid not in (None, pid)
        server.leave()
        assert answers(url), "the other one is still there"
    assert not answers(url)


def test_a_user_that_is_killed_counts_as_gone(tmp_path: Path, wait_until: WaitUntil) -> None:
    code = "import time; from pipeline.server.shared_server import join_or_start\n"
    code += "with join_or_start(): print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        url = url_file().read_text()
        assert answers(url)
        process.kill()
    wait_until(lambda: not answers(url))
    wait_until(lambda: not url_file().exists())


def test_a_server_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmbeddedServer, "argv", lambda _: [sys.executable, "-c", "raise SystemExit('no memory left')"])
    with pytest.raises(ServerUnreachable, match="the embedded server did not start: no memory left"), join_or_start():
        pass
    assert not url_file().exists()


def test_what_dead_servers_left_is_removed_and_the_living_stay() -> None:
    folder = runtime_dir()
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(folder / "living.sock"))
        living.listen()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(folder / "dead.sock"))
        for name in ("living", "dead"):
            (folder / f"server-{name}.log").touch()
            (folder / f"{name}.users").touch()
        with join_or_start():
            assert len(list(folder.glob("*.sock"))) == len(list(folder.glob("*.log"))) == 2
        assert [path.name for path in folder.glob("*.sock")] == ["living.sock"]
        assert [path.name for path in folder.glob("*.users")] == ["living.users"]
        assert not (folder / "server-dead.log").exists()
        assert (folder / "server-living.log").exists()


def test_the_last_user_ends_cleanly_after_a_logout_took_the_folder(tmp_path: Path, wait_until: WaitUntil) -> None:
    with join_or_start() as (url, server):
        pid = server.pid
        assert pid is not None
        runtime_dir().rename(tmp_path / "gone")
    assert not answers(url)
    wait_until(lambda: not psutil.pid_exists(pid))


def test_a_server_of_a_tests_own_is_started_again_only_under_the_lock(
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


def keeper_of(pid: int | None) -> int:
    """The process that keeps the server `pid`."""
    assert pid is not None
    parent = psutil.Process(pid).ppid()
    assert "server_keeper.py" in " ".join(psutil.Process(parent).cmdline())
    return parent


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
