"""`painter up` and `painter view` as a user runs them: everything comes, and everything goes."""

import http.client
import json
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from tests.system.conftest import Painter, WaitUntil
from tests.viewer.pages import jpeg

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

Start = Callable[..., Painter]
# The promise for two quiet cores is 12 s; tests share theirs.
COLD_START_S = 30


def address(command: Painter) -> str:
    """Return the page's address, as it was printed."""
    assert command.process.stdout is not None
    line = command.process.stdout.readline()
    assert line.startswith("page "), (line, command.process.stderr.read() if command.process.stderr else "")
    return line.split()[1]


def ended(command: Painter) -> tuple[int, str]:
    """Return a command's exit code, and what it said on standard error."""
    said = command.process.communicate(timeout=30)[1]
    return command.process.returncode, said


def get(url: str, path: str = "") -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url.rstrip("/") + path, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def hand_in(url: str, style: str) -> dict[str, object]:
    """Hand in one picture through the page; return its finished job."""
    post = urllib.request.Request(f"{url}api/jobs?style={style}", data=jpeg(), method="POST")
    with urllib.request.urlopen(post, timeout=5) as answer:
        assert answer.status == 201
    deadline_s = time.monotonic() + COLD_START_S
    while time.monotonic() < deadline_s:
        (job,) = json.loads(get(url, "/api/jobs")[1])["jobs"]
        if job["state"] in ("done", "failed"):
            found: dict[str, object] = job
            return found
    pytest.fail(f"not painted: {job}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def test_one_command_brings_a_page_that_paints_and_ctrl_c_takes_all_of_it_away(painter: Start) -> None:
    up = painter("up", "--styles", "test-identity", "--port", "0", "--no-browser")
    url = address(up)
    assert get(url)[0] == 200
    assert hand_in(url, "test-identity")["state"] == "done"
    up.kill(signal.SIGINT)
    code, said = ended(up)
    assert code == 130
    assert "Traceback" not in said
    up.nothing_left()


def test_nothing_is_left_behind_by_a_killed_one(painter: Start, wait_until: WaitUntil) -> None:
    up = painter(
        "up", "--styles", "test-identity", "--port", "0", "--no-browser", "--flower", "--flower-port", free_port()
    )
    url = address(up)
    wait_until(lambda: json.loads(get(url, "/api/stats")[1])["workers"], COLD_START_S, "a worker")
    up.kill(signal.SIGKILL)
    up.process.wait(10)
    up.nothing_left()
    with pytest.raises(OSError):
        get(url)


def test_flower_comes_and_goes_with_it(painter: Start, wait_until: WaitUntil) -> None:
    port = free_port()
    up = painter("up", "--styles", "test-identity", "--port", "0", "--no-browser", "--flower", "--flower-port", port)
    address(up)
    wait_until(lambda: _answers(port), COLD_START_S, "Flower")
    up.kill(signal.SIGTERM)
    assert ended(up)[0] == 143
    up.nothing_left()
    assert not _answers(port)


def test_a_killed_worker_comes_back_and_the_page_says_so_meanwhile(painter: Start, wait_until: WaitUntil) -> None:
    up = painter("up", "--styles", "test-identity", "--workers", "1", "--port", "0", "--no-browser")
    url = address(up)

    def workers() -> list[int]:
        return [worker["pid"] for worker in json.loads(get(url, "/api/stats")[1])["workers"]]

    wait_until(workers, COLD_START_S, "a worker")
    (pid,) = workers()
    wait_until(lambda: "ready" in (up.process.stdout.readline() if up.process.stdout else ""), COLD_START_S, "ready")
    for worker in up._family():
        if worker.pid == pid:
            worker.kill()
    wait_until(lambda: workers() not in ([], [pid]), COLD_START_S, "another worker")
    assert hand_in(url, "test-identity")["state"] == "done"


def test_the_page_alone_joins_the_server_that_runs(painter: Start, wait_until: WaitUntil) -> None:
    up = painter("up", "--styles", "test-identity", "--port", "0", "--no-browser")
    first = address(up)
    wait_until(lambda: json.loads(get(first, "/api/stats")[1])["workers"], COLD_START_S, "a worker")
    view = painter("view", "--port", "0")
    second = address(view)
    assert json.loads(get(second, "/api/stats")[1])["workers"]
    view.kill(signal.SIGINT)
    assert ended(view)[0] == 130
    assert get(first, "/healthz")[0] == 200, "who joined a server does not end it"


def test_other_machines_are_let_in_by_the_printed_address_only(painter: Start) -> None:
    url = address(painter("view", "--port", "0", "--host", "0.0.0.0"))
    plain, _, token = url.partition("?token=")
    assert len(token) >= 32
    assert get(plain)[0] == 401
    host = plain.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(host, timeout=5)
    connection.request("GET", f"/?token={token}")
    answer = connection.getresponse()
    assert answer.status == 303
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    connection.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("up", "--styles", "wawe"), "no style 'wawe'"),
        (("view", "--host", "nowhere.invalid"), "no such name"),
        (("view", "--host", "0.0.0.0", "--token", "short"), "could be guessed"),
        (("view", "--tls-cert", __file__), "needs both"),
        (("view", "--tls-cert", __file__, "--tls-key", __file__), "TLS certificate"),
    ],
    ids=["style", "host", "token", "half a TLS", "no certificate"],
)
def test_what_is_wrong_is_said_in_one_line_before_anything_starts(
    painter: Start, words: tuple[str, ...], said: str
) -> None:
    command = painter(*words)
    code, told = ended(command)
    assert code == 2
    assert told.count("\n") == 1
    assert said in told
    command.nothing_left()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
