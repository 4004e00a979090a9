"""A real Chromium with a camera of ours, before a real `painter`: what is tested is what a visitor sees."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.waiting import wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ROOT = Path(__file__).parents[2]
_START_S = 60.0
# For whatever a page is waited for; `expect` gives 5 s by itself, in which six painters may still compile.
_PAGE_MS = 20_000
expect.set_options(timeout=_PAGE_MS)
_STOP_S = 20.0
_WIDTH, _HEIGHT, _FRAMES = 640, 480, 90


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test here drives a browser before real workers: together they keep the cores of a small machine busy."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.serial)
            item.add_marker(pytest.mark.system)
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(180))


@dataclass(slots=True)
class House:
    """One `painter` command that serves the page. `url`: where."""

    process: "subprocess.Popen[bytes]"
    log: Path
    url: str = ""

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(_STOP_S)


class Village:
    """Runs `painter` commands in one private environment, so that they find one another's server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._houses: list[House] = []
        private = {name: str(folder / name) for name in ("XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CACHE_HOME")}
        (folder / "XDG_RUNTIME_DIR").mkdir(mode=0o700, parents=True)
        self._env = {**os.environ, **private, "PAINTER_TEST_STYLES": "1"}
        self._env.pop("BROKER_URL", None)

    def run(self, *args: str) -> House:
        """Start `painter ARGS`; what it says goes to its log."""
        log = self.folder / f"{len(self._houses)}-{args[0]}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "cli", *args], cwd=ROOT, env=self._env, stdout=output, stderr=subprocess.STDOUT
            )
        house = House(process, log)
        self._houses.append(house)
        return house

    def serve(self, *args: str, ready: str = "page ") -> House:
        """Start a command that serves the page, and wait until it says `ready`."""
        house = self.run(*args)
        said = house.log.read_text
        wait_until(lambda: ready in said() or house.process.poll() is not None, _START_S, f"{args}: {ready}")
        assert house.process.poll() is None, house.log.read_text()
        (house.url,) = re.findall(r"page +(http\S+)", house.log.read_text())[:1]
        return house

    def stop(self) -> None:
        """End every command, the youngest first."""
        for house in reversed(self._houses):
            house.stop()


def camera_arguments(clip: Path) -> list[str]:
    """Chromium's options for a camera that plays `clip` and is allowed everywhere."""
    return [
        "--no-sandbox",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={clip}",
        # A name that is not localhost, so that the page is no secure context.
        "--host-resolver-rules=MAP painter.test 127.0.0.1",
    ]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of a picture with things in it that move, as the MJPEG file Chromium's fake camera plays."""
    file = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    rng = np.random.default_rng(7)
    ground = cv2.GaussianBlur(rng.integers(0, 255, (_HEIGHT, _WIDTH, 3), np.uint8), (0, 0), 24)
    ground = cv2.normalize(ground, None, 20, 235, cv2.NORM_MINMAX)
    with file.open("wb") as output:
        for index in range(_FRAMES):
            picture, turn = ground.copy(), 2 * np.pi * index / _FRAMES
            centre = (int(320 + 180 * np.cos(turn)), int(240 + 110 * np.sin(turn)))
            cv2.circle(picture, centre, 90, (60, 160, 235), -1, cv2.LINE_AA)
            cv2.ellipse(picture, (320, 240), (150, 60), np.degrees(turn), 0, 360, (200, 80, 40), 8, cv2.LINE_AA)
            output.write(cv2.imencode(".jpg", picture)[1].tobytes())
    return file


@pytest.fixture(scope="module")
def chromium(clip: Path) -> Iterator[Browser]:
    """Chromium with a fake camera that is allowed everywhere.

    It ends with its file: Playwright keeps an event loop running in the main thread, where other tests run their own.
    """
    if CHROMIUM is None and "CI" not in os.environ:
        pytest.skip("chromium is not installed")
    assert CHROMIUM is not None, "CI needs a browser: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=camera_arguments(clip))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def village(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Village]:
    """A private place for `painter` commands."""
    village = Village(tmp_path_factory.mktemp("village"))
    yield village
    village.stop()


@pytest.fixture
def tab(chromium: Browser) -> Callable[..., object]:
    """`with tab(url, width=…, height=…) as page:` a window that must end without an error in its console."""

    @contextmanager
    def open_tab(url: str, *, width: int = 960, height: int = 640, expected: str = "") -> Iterator[Page]:
        context = chromium.new_context(viewport={"width": width, "height": height})
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.set_default_timeout(_PAGE_MS)
        try:
            page.goto(url)
            yield page
        finally:
            context.close()
        assert [line for line in said if not (expected and re.search(expected, line))] == []

    return open_tab
