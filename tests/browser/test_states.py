"""What a visitor is told when something is missing, and that it goes on by itself."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import House, Village

Tab = Callable[..., Any]
_BACK_MS = 40_000


@pytest.fixture(scope="module")
def house(village: Village) -> House:
    """The page alone: workers come and go in the tests."""
    return village.serve("view", "--port", "0", "--allow-host", "painter.test")


@contextmanager
def _working(village: Village) -> Iterator[House]:
    """A machine that serves wave for as long as the block lasts."""
    machine = village.run("work", "--styles", "wave", "--workers", "1")
    try:
        yield machine
    finally:
        machine.stop()


@pytest.fixture
def workers(village: Village) -> Iterator[House]:
    """The same for a test."""
    with _working(village) as machine:
        yield machine


def test_worker_lost_is_said_and_its_return_goes_on_by_itself(
    village: Village, house: House, workers: House, tab: Tab
) -> None:
    with tab(house.url) as page:
        page.locator("[data-style=wave]").click()
        page.get_by_role("button", name="Start the camera").first.click()
        state = page.locator("#state-words")
        expect(state).to_have_text("Live", timeout=_BACK_MS)
        workers.process.send_signal(signal.SIGKILL)
        workers.process.wait(10)
        expect(state).to_have_text("No worker for this style", timeout=_BACK_MS)
        expect(page.locator("#announcer")).to_contain_text("No worker for this style")
        expect(page.locator("#waiting")).to_have_text("No worker for wave; start one: painter work --styles wave")
        with _working(village):
            expect(state).to_have_text("Live", timeout=_BACK_MS)
            expect(page.locator("#waiting")).to_be_hidden()


@pytest.mark.usefixtures("workers")
def test_page_server_lost_is_said_and_the_camera_goes_on_after(village: Village, tab: Tab) -> None:
    first = village.serve("view", "--port", "0")
    port = first.url.rstrip("/").rpartition(":")[2]
    with tab(first.url, expected="WebSocket|Failed to load resource") as page:
        page.locator("[data-style=wave]").click()
        page.get_by_role("button", name="Start the camera").first.click()
        state = page.locator("#state-words")
        expect(state).to_have_text("Live", timeout=_BACK_MS)
        first.stop()
        expect(state).to_have_text("Connection lost")
        village.serve("view", "--port", port)
        expect(state).to_have_text("Live", timeout=_BACK_MS)


@pytest.mark.parametrize("lost", ["encoder.js", "denoise.js"])
def test_camera_whose_encoder_does_not_come_is_said(house: House, tab: Tab, lost: str) -> None:
    with tab(house.url, expected="Failed to load resource") as page:
        page.context.route(f"**/{lost}", lambda route: route.abort())
        page.get_by_role("button", name="Start the camera").first.click()
        expect(page.locator("#notices")).to_contain_text("Reload the page")
        expect(page.locator("#state-words")).to_have_text("No worker yet")
        page.context.unroute(f"**/{lost}")
        page.get_by_role("button", name="Start the camera").first.click()
        expect(page.locator("#state-words")).not_to_have_text("Ready")


@pytest.mark.usefixtures("workers")
def test_stream_made_elsewhere_shows_up_by_itself(village: Village, house: House, tab: Tab, clip: Any) -> None:
    with tab(house.url) as page:
        expect(page.locator("#live-now")).to_be_hidden()
        village.run("live", "--file", str(clip), "--loop", "--style", "wave", "--name", "hall")
        page.get_by_role("button", name="hall").first.click(timeout=_BACK_MS)
        expect(page.locator("#state-words")).to_have_text("Live", timeout=_BACK_MS)
        expect(page.locator("#painting")).to_have_js_property("width", 640)


def test_page_from_another_machine_says_why_there_is_no_camera(house: House, tab: Tab) -> None:
    # Chromium warns that a header has no effect over plain http.
    with tab(house.url.replace("127.0.0.1", "painter.test"), expected="Cross-Origin-Opener-Policy") as page:
        obstacle = page.locator("#obstacle")
        expect(obstacle).to_contain_text("withholds the camera")
        expect(obstacle).to_contain_text("http from painter.test")
        expect(obstacle).to_contain_text("--tls-self-signed")
        expect(page.get_by_role("button", name="Start the camera").first).to_be_disabled()


def overlap(one: Any, other: Any) -> bool:
    return all(
        one[side] < other[side] + other[size] and other[side] < one[side] + one[size]
        for side, size in (("x", "width"), ("y", "height"))
    )


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390), (768, 1024), (1440, 900)])
def test_every_control_is_on_the_screen(house: House, tab: Tab, width: int, height: int) -> None:
    with tab(house.url, width=width, height=height) as page:
        expect(page.locator(".style").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        bars = [page.locator(bar).bounding_box() for bar in (".bar", ".tools", ".dock")]
        assert [pair for pair in combinations(bars, 2) if overlap(*pair)] == []
        for control in page.locator(".tool:visible, .style, .look input, #home").all():
            expect(control).to_be_in_viewport(ratio=0.99)


def test_every_control_has_a_name(house: House, tab: Tab) -> None:
    with tab(house.url) as page:
        expect(page.locator(".style").first).to_be_visible()
        tree = page.locator("body").aria_snapshot()
        unnamed = [line for line in tree.splitlines() if line.strip() in ("- button", "- link", "- slider", "- switch")]
        assert unnamed == []


def test_shortcuts_are_listed_and_the_dialog_closes(house: House, tab: Tab) -> None:
    with tab(house.url) as page:
        expect(page.locator(".style").first).to_be_visible()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_contain_text("Full screen")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
