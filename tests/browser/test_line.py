"""Each way a painting comes to the page, and that "What is going on" says which; over a thin line it stays live."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from benchmarks.thin_line import Shape, thin_line
from tests.browser.conftest import House, Village
from tests.waiting import wait_until

Tab = Callable[..., Any]
# As painted the clip takes 7 Mbit/s.
THIN = Shape(rate_bps=3e6, round_trip_s=0.02)


@pytest.fixture(scope="module")
def house(village: Village) -> House:
    """Everything, in one style."""
    return village.serve("up", "--no-browser", "--port", "0", "--styles", "wave", ready="ready ")


@contextmanager
def thin(house: House, query: str = "") -> Iterator[str]:
    port = int(house.url.rstrip("/").rpartition(":")[2])
    with thin_line(port, THIN) as near:
        yield f"http://localhost:{near}/{query}"


def start(page: Page) -> None:
    page.get_by_role("button", name="Start the camera").first.click()
    expect(page.locator("#state-words")).to_have_text("Live")
    page.keyboard.press("i")


@pytest.mark.parametrize(
    ("query", "words"),
    [("?video=h264", "H.264"), ("?video=vp8", "VP8"), ("?video=jpeg", "JPEG, smaller")],
    ids=["h264", "vp8", "jpeg"],
)
def test_the_painting_comes_coded_where_it_is_asked_for(house: House, tab: Tab, query: str, words: str) -> None:
    with tab(house.url + query) as page:
        start(page)
        expect(page.locator("#line-picture")).to_contain_text(words)
        expect(page.locator("#line-why")).to_contain_text("asks for it")
        expect(page.locator("#line-up")).to_contain_text(words)
        if "jpeg" not in query:
            # The canvas keeps the painting's size, whatever was sent; a camera that sends JPEGs sends smaller ones.
            expect(page.locator("#painting")).to_have_js_property("width", 640)
        before = drawn(page)
        wait_until(lambda: drawn(page) != before, 10, "a picture that moves")
        expect(page.locator("#state-words")).to_have_text("Live")


def test_over_a_thin_line_the_page_stays_live(house: House, tab: Tab) -> None:
    with thin(house) as url, tab(url) as page:
        start(page)
        for _ in range(3):
            before = drawn(page)
            wait_until(lambda seen=before: drawn(page) != seen, 10, "a picture that moves")
        expect(page.locator("#state-words")).to_have_text("Live")


def test_on_this_machine_the_painting_passes_as_it_was_painted(house: House, tab: Tab) -> None:
    with tab(house.url) as page:
        start(page)
        expect(page.locator("#line-picture")).to_have_text("JPEG as painted, 640 × 480")
        expect(page.locator("#line-why")).to_contain_text("wide enough")


def drawn(page: Page) -> list[int]:
    """The painting's pixels, small."""
    found: list[int] = page.evaluate(
        """() => {
          const small = new OffscreenCanvas(16, 12).getContext("2d");
          small.drawImage(document.getElementById("painting"), 0, 0, 16, 12);
          return [...small.getImageData(0, 0, 16, 12).data];
        }"""
    )
    return found
