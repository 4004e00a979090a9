"""The page server before a real frame server and a real worker for each painted style."""

from collections.abc import Iterator

import pytest

from pipeline.flow.placement import place
from pipeline.process.config import settings
from pipeline.server.embedded import EmbeddedServer
from tests.viewer.pages import Site, open_site
from workers.launch import Launcher

PAINTED = ("test-identity", "test-sleep-40")
STYLES = (*PAINTED, "test-sleep-7")  # nobody paints the last


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A frame server and one worker for each painted style."""
    folder = tmp_path_factory.mktemp("studio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAINTER_TEST_STYLES", "1")
        patch.delenv("BROKER_URL", raising=False)
        settings.cache_clear()
        embedded = EmbeddedServer(folder, maxmemory_mb=64)
        embedded.start()
        try:
            with (
                open_site(embedded.url) as site,
                Launcher(place(PAINTED, [], cores=2), embedded.url, logs=folder) as fleet,
            ):
                fleet.wait_ready(site.transport)
                yield embedded
        finally:
            embedded.stop()


@pytest.fixture
def site(studio: EmbeddedServer) -> Iterator[Site]:
    """A page server of the test's own."""
    with open_site(studio.url, None, *STYLES) as opened:
        yield opened
