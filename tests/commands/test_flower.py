"""Flower on our workers: closed by default, readable names and counts, and it needs no torch."""

import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT

import psutil
import pytest

from commands.flower import flower_argv
from pipeline.errors import UsageError
from pipeline.process.spawn import spawn
from pipeline.protocol.queues import queue_of
from pipeline.protocol.wire import TASK_NAME, Ticket
from pipeline.server.app import create_app
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from tests.waiting import WaitUntil

ROOT = Path(__file__).parent.parent.parent
STYLE = "test-identity"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "painter.example"])
def test_another_interface_needs_a_password(host: str) -> None:
    with pytest.raises(UsageError, match="--basic-auth"):
        flower_argv(host, 5555)
    assert f"--address={host}" in flower_argv(host, 5555, basic_auth="me:secret")


@pytest.mark.parametrize("word", ["me", ":secret", "me:", "me:secret,you"])
def test_half_a_password_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="user:password"):
        flower_argv("127.0.0.1", 5555, basic_auth=word)


def test_half_a_tls_setup_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--keyfile"):
        flower_argv("127.0.0.1", 5555, certfile=tmp_path / "cert.pem")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return ""


@contextmanager
def _running(argv: list[str], env: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    process = spawn([sys.executable, *argv], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)


@pytest.fixture
def without_torch(tmp_path: Path) -> dict[str, str]:
    """An environment in which torch and openvino cannot be imported."""
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name in ("torch", "openvino"):
        (blocked / f"{name}.py").write_text("raise ModuleNotFoundError(__name__)")
    return {**os.environ, "PYTHONPATH": f"{blocked}{os.pathsep}{ROOT}", "PAINTER_TEST_STYLES": "1"}


@pytest.mark.system
def test_flower_shows_workers_by_style_and_counts_their_tasks(
    server: EmbeddedServer, transport: Transport, without_torch: dict[str, str], wait_until: WaitUntil
) -> None:
    env, port = {**without_torch, "BROKER_URL": server.url}, _free_port()
    name = f"{STYLE}@cpu0.{socket.gethostname()}"
    worker = [*"-m celery -A pipeline worker -P threads -c 1".split(), "-Q", f"style.{STYLE}", "-n", name]
    flower = [*"-m celery -A pipeline flower".split(), f"--conf={ROOT / 'flowerconfig.py'}", f"--port={port}"]
    page = f"http://127.0.0.1:{port}"
    with _running(worker, env), _running(flower, env) as process:
        wait_until(lambda: [beat.name for beat in transport.workers()] == [name], 30, "worker")
        wait_until(lambda: name in _get(f"{page}/workers"), 30, "worker in Flower")
        app = create_app(server.url)
        pattern = rf'flower_events_total\{{task="painter.paint",type="task-succeeded",worker="{re.escape(name)}"\}} \d'

        def is_counted() -> bool:
            # Flower asks for events every 5 s; tasks before that go uncounted. The ticket's frame is long gone.
            app.send_task(TASK_NAME, args=Ticket("nobody", 0, 1).to_args(), queue=queue_of(STYLE))
            return bool(re.search(pattern, _get(f"{page}/metrics")))

        wait_until(is_counted, 30, "a task succeeded in Flower")
        assert "flower_task_runtime_seconds" in _get(f"{page}/metrics")
        listening = [c.laddr.ip for c in psutil.Process(process.pid).net_connections() if c.status == "LISTEN"]
        assert listening == ["127.0.0.1"]
        app.close()


@pytest.mark.system
def test_painter_flower_ends_its_own_server_on_ctrl_c(tmp_path: Path, wait_until: WaitUntil) -> None:
    port = _free_port()
    process = spawn(
        [sys.executable, "-m", "cli", "flower", "--port", str(port), "--basic-auth", "me:secret"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(_answers_401(port), 30, "Flower asks for the password")
        children = psutil.Process(process.pid).children(recursive=True)
        keeper, embedded = children
        assert any(word.endswith("server_keeper.py") for word in keeper.cmdline())
        assert embedded.name() == "valkey-server"
        process.send_signal(SIGINT)
        assert process.wait(20) == 0
        assert not embedded.is_running()
        wait_until(lambda: not keeper.is_running(), what="the keeper's end")
    finally:
        process.kill()
        process.wait(20)


def _answers_401(port: int) -> Callable[[], bool]:
    def asks() -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/workers", timeout=5).close()
        except urllib.error.HTTPError as error:
            with error:
                return error.code == 401
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        return False

    return asks
