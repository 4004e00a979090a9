"""What many tests share: a private server, a transport on it, and waiting with a deadline instead of sleeping."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.process.config import settings
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from tests import waiting
from tests.waiting import WaitUntil

#: Pure rules and single calls to a server: whoever takes longer hangs.
UNIT_TIMEOUT_S = 10
#: A minute of CPU on a quiet machine may be several on a busy one.
SLOW_TIMEOUT_S = 300

# Read when torch is loaded. The tests' networks are tiny: on two busy cores a second thread took 14.5 s of CPU for what
# one does in 8.2 s, most of it waiting for the other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background has Ctrl-C ignored, and every command they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run two of pytest's processes for each core: most tests wait for processes of their own."""
    return 2 * (os.cpu_count() or 1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the pipeline's tests ten seconds and slow ones minutes, unless they say otherwise; others have a minute.

    Tests with real processes go first: they take longest, and one left for the end would keep the other cores waiting.
    """
    items.sort(key=lambda item: item.get_closest_marker("system") is None)
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT_S))
        unhurried = any(item.get_closest_marker(name) for name in ("slow", "gpu", "system", "timeout"))
        if "pipeline" in item.path.parts[-2:] and not unhurried:
            item.add_marker(pytest.mark.timeout(UNIT_TIMEOUT_S))


@pytest.fixture(autouse=True)
def _private_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep tests off the user's own server, styles and caches; settings are read anew."""
    monkeypatch.delenv("BROKER_URL", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server of this test's own, on a unix socket below `tmp_path`."""
    embedded = EmbeddedServer(tmp_path, maxmemory_mb=64)
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture
def transport(server: EmbeddedServer) -> Iterator[Transport]:
    """A connection to the private server."""
    connected = Transport.connect(server.url)
    yield connected
    connected.close()


@pytest.fixture
def wait_until() -> WaitUntil:
    """`wait_until(condition, deadline_s=5.0, what="")`: see `tests.waiting`."""
    return waiting.wait_until
