"""`painter live` and `painter window` as users have them: a stream to watch, restyle and lose, clean ends, one line
for what is wrong.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.process.config import runtime_dir
from pipeline.protocol.frame import Look
from pipeline.protocol.wire import Limits
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from tests.media import Clip, make_clip
from tests.waiting import WaitUntil, wait_until
from viewer.broadcast import Broadcast, Shot

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

ROOT = Path(__file__).parent.parent.parent
LIMITS = Limits(1 << 20, 1 << 22)
# Commands start processes; on a busy machine that takes its time.
START_S = 30


class Process:
    """One `painter` command; what it says goes to a file each."""

    def __init__(self, folder: Path, *words: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.out, self.err = folder / "out", folder / "err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "cli", *words],
                cwd=folder,
                env={**os.environ, "PAINTER_TEST_STYLES": "1", "PYTHONPATH": str(ROOT)},
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.out.read_text() + self.err.read_text()

    def end(self, signum: int = signal.SIGINT, timeout_s: float = 15) -> int:
        if self._popen.poll() is None:
            self._popen.send_signal(signum)
        return self._popen.wait(timeout_s)

    def wait(self, timeout_s: float) -> int:
        return self._popen.wait(timeout_s)

    def is_running(self) -> bool:
        return self._popen.poll() is None


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start("live", "--file", …)`: run a command; all are ended with the test."""
    running: list[Process] = []

    def begin(*words: str | Path) -> Process:
        running.append(Process(tmp_path / f"process{len(running)}", *map(str, words)))
        return running[-1]

    yield begin
    for process in reversed(running):
        if process.is_running():
            process.end(signal.SIGTERM)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A second of video at 25 FPS."""
    return make_clip(tmp_path / "clip.mp4", Clip(frames=25))


@pytest.fixture
def broadcast(transport: Transport) -> Iterator[Broadcast]:
    reader = Broadcast(transport, limits=LIMITS)
    reader.start()
    yield reader
    reader.stop()


def names(transport: Transport) -> list[str]:
    """The streams a viewer is shown."""
    return [card.name for card in Broadcast(transport, limits=LIMITS).streams()]


def test_a_looped_file_is_painted_for_watchers_and_ctrl_c_leaves_nothing(
    start: Start, clip: Path, tmp_path: Path, wait_until: WaitUntil
) -> None:
    live = start("live", "--file", clip, "--loop", "-s", "test-identity", "--size", "64x64")
    wait_until(lambda: "painter window clip" in live.said() or not live.is_running(), 30, "the stream's name")
    connected = Transport.connect((runtime_dir() / "broker-url").read_text())
    reader = Broadcast(connected, limits=LIMITS)
    reader.start()
    watch = reader.watch("clip", lambda: None)
    shots: list[Shot] = []

    def watched(count: int) -> bool:
        if (shot := watch.take()) is not None:
            shots.append(shot)
        return len(shots) >= count

    wait_until(lambda: watched(30), 20, "thirty pictures, more than the file has")
    (card,) = reader.streams()
    assert card.captured == card.dropped + card.painted + card.failed + card.in_flight
    assert (shots[-1].frame.width, shots[-1].frame.height) == (64, 48)
    assert [shot.frame.seq for shot in shots] == sorted({shot.frame.seq for shot in shots})
    assert [shot.frame.pts for shot in shots] == sorted({shot.frame.pts for shot in shots})
    assert 0 <= time.monotonic() * 1000 - shots[-1].frame.pts < 5000
    reader.stop()
    connected.close()
    assert live.end(signal.SIGINT) == 130
    assert "Traceback" not in live.err.read_text()
    assert not list(runtime_dir().glob("*.sock"))
    wait_until(lambda: _left_in(tmp_path) == [], START_S)


def test_sigterm_ends_it_as_cleanly(start: Start, clip: Path, server: EmbeddedServer, transport: Transport) -> None:
    live = start("live", "--file", clip, "--loop", "-s", "test-identity", "--broker", server.url)
    wait_until(lambda: names(transport) == ["clip"], START_S)
    assert live.end(signal.SIGTERM) == 143
    assert transport.streams() == []


def test_a_file_ends_with_its_last_frame_painted(
    start: Start, clip: Path, server: EmbeddedServer, transport: Transport
) -> None:
    start("work", "--styles", "test-identity", "--workers", "1", "--broker", server.url)
    wait_until(transport.workers, START_S)
    live = start("live", "--file", clip, "-s", "test-identity", "--broker", server.url)
    painted = [0]

    def ended() -> bool:
        painted.extend(card.painted for card in transport.streams())
        return not live.is_running()

    wait_until(ended, START_S)
    assert live.wait(1) == 0
    assert max(painted) > 0
    assert transport.streams() == []


def test_a_killed_stream_is_gone_in_five_seconds_and_its_watchers_see_it_come_back(
    start: Start, clip: Path, server: EmbeddedServer, transport: Transport, broadcast: Broadcast, wait_until: WaitUntil
) -> None:
    words = ("live", "--file", clip, "--loop", "-s", "test-identity", "--name", "cam", "--broker", server.url)
    start("work", "--styles", "test-identity", "--workers", "1", "--broker", server.url)
    wait_until(transport.workers, START_S)
    first = start(*words)
    wait_until(lambda: names(transport) == ["cam"], START_S)
    watch = broadcast.watch("cam", lambda: None)
    wait_until(lambda: (shot := watch.take()) is not None and shot.frame.seq > 100, 30)
    first.end(signal.SIGKILL)
    wait_until(lambda: names(transport) == [], 6)
    watch.take()
    second = start(*words)
    wait_until(lambda: (shot := watch.take()) is not None and shot.frame.seq < 50, 20, "the stream that came back")
    third = start(*words)
    assert third.wait(20) == 2
    assert "a stream called cam runs already" in third.err.read_text()
    assert second.is_running()


def test_a_viewers_wish_is_followed_and_a_missing_worker_told(
    start: Start, clip: Path, server: EmbeddedServer, transport: Transport
) -> None:
    live = start("live", "--file", clip, "--loop", "-s", "test-identity", "--broker", server.url)
    wait_until(lambda: names(transport) == ["clip"], START_S)
    wait_until(lambda: "no worker for test-identity" in live.said(), START_S)
    assert transport.wish("clip", "test-bytes", Look())
    wait_until(lambda: "no worker for test-bytes" in live.said(), START_S)
    counted = re.findall(
        r"captured (\d+) = dropped (\d+) \+ painted (\d+) \+ failed (\d+) \+ in flight (\d+)", live.said()
    )
    assert counted
    assert all(int(captured) == sum(map(int, rest)) for captured, *rest in counted)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--camera", "250"], "camera 250 cannot be opened"),
        (["--file", "nothing.mp4"], "nothing.mp4: no such file"),
        (["--file", __file__], "test_live_command.py: not a playable video"),
        (["--file", "/"], "--file takes a video"),
        (["--url", "ftp://x/y"], "ftp://x/y: not an address"),
        (["--url", "http://127.0.0.1:1/x"], "http://127.0.0.1:1/x: connection refused"),
        (["--camera", "0", "--url", "http://x/y"], "one source at a time"),
        (["--camera", "0", "--loop"], "--loop"),
        (["--size", "640"], "--size 640"),
        (["--name", "a:b"], "--name a:b"),
        (["-s", "wawe"], "no style 'wawe'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_said_in_one_line(start: Start, words: list[str], said: str) -> None:
    style = [] if "-s" in words else ["-s", "test-identity"]
    refused = start("live", *style, *words)
    assert refused.wait(30) == 2
    (line,) = refused.err.read_text().splitlines()
    assert said in line
    assert refused.out.read_text() == ""


# -- painter window ----------------------------------------------------------------------------------------------------


def test_a_window_without_a_display_is_refused_in_one_line(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    refused = start("window", "cam")
    assert refused.wait(30) == 2
    assert refused.err.read_text() == (
        "painter: no window can be opened here: no display; `painter view` shows streams in a browser\n"
    )


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="needs Xvfb and xdotool")
def test_a_window_shows_the_stream_and_its_keys_work(
    start: Start, clip: Path, server: EmbeddedServer, transport: Transport, display: str
) -> None:
    start("work", "--styles", "test-identity", "--workers", "1", "--broker", server.url)
    wait_until(transport.workers, START_S)
    start("live", "--file", clip, "--loop", "-s", "test-identity", "--broker", server.url)
    wait_until(lambda: names(transport) == ["clip"], START_S)
    nobody = start("window", "nobody", "--broker", server.url)
    assert nobody.wait(30) == 2
    assert nobody.err.read_text() == "painter: no live stream 'nobody'; there are clip\n"
    window = start("window", "clip", "--broker", server.url)

    def pressed(key: str) -> bool:
        found = _xdotool("search", "--name", "^clip").split()
        return bool(found) and _xdotool("key", "--window", found[-1], key) == ""

    wait_until(lambda: "FPS" in _xdotool("search", "--name", "^clip", "getwindowname"), START_S)
    wait_until(lambda: pressed("s") and list(window.folder.glob("clip-*.png")), START_S)
    wait_until(lambda: pressed("q") or not window.is_running(), START_S)
    assert window.wait(10) == 0
    assert window.err.read_text() == ""


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A display of the test's own."""
    there, ours = os.pipe()
    xvfb = subprocess.Popen(
        ["Xvfb", "-displayfd", str(ours), "-screen", "0", "640x480x24", "-nolisten", "tcp"],
        pass_fds=(ours,),
        stderr=subprocess.DEVNULL,
    )
    os.close(ours)
    with open(there) as numbers:
        name = f":{numbers.readline().strip()}"
    monkeypatch.setenv("DISPLAY", name)
    yield name
    xvfb.terminate()
    xvfb.wait(10)


def _xdotool(*words: str) -> str:
    return subprocess.run(["xdotool", *words], capture_output=True, text=True, timeout=10, check=False).stdout


def _left_in(folder: Path) -> list[psutil.Process]:
    """Processes of commands whose runtime folder is `folder`; the server writes its title over its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            of_ours = process.environ().get("XDG_RUNTIME_DIR") == str(folder) or process.cwd().startswith(str(folder))
        except psutil.Error:
            continue
        if of_ours and process.pid != os.getpid():
            found.append(process)
    return found
