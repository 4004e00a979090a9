"""Page servers as an attacker meets them: open to this machine alone, or to all and guarded by a token."""

from collections.abc import Iterator

import pytest

from commands.page import Door
from pipeline.process.config import settings
from pipeline.server.embedded import EmbeddedServer
from tests.viewer.pages import Site, Tab, open_site
from viewer.web.security import Access

TOKEN = "correct-horse-battery"


@pytest.fixture(autouse=True)
def _test_styles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAINTER_TEST_STYLES", "1")
    settings.cache_clear()


@pytest.fixture
def site(server: EmbeddedServer) -> Iterator[Site]:
    """A page server for this machine alone."""
    with open_site(server.url) as opened:
        yield opened


@pytest.fixture
def guarded(server: EmbeddedServer) -> Iterator[Site]:
    """A page server with a token."""
    with open_site(server.url, Door("0.0.0.0", 0, TOKEN)) as opened:
        yield opened


async def camera_links(tab: Tab) -> dict[str, str]:
    """Open a camera; return its stream's signed links."""
    (stream,) = (await tab.camera("test-identity")).values()
    while not (cards := (await tab.hear("streams"))["streams"]):
        pass
    assert cards[0]["name"] == stream
    links: dict[str, str] = cards[0]["links"]
    return links


def cookie(access: Access) -> dict[str, str]:
    return {"Cookie": f"{access.cookie_name}={access.cookie_value}"}
