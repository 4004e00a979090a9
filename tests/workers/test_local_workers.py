"""The workers that `painter paint` and `up` bring along are started as the settings say."""

import psutil
import pytest

from pipeline.process.config import settings
from pipeline.server.broker import Broker
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from workers.local_workers import LocalWorkers
from workers.styles import find_style


@pytest.mark.system
def test_their_engines_have_as_many_threads_as_was_set(
    server: EmbeddedServer, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAINTER_TEST_STYLES", "1")
    monkeypatch.setenv("PAINTER_THREADS", "3")
    settings.cache_clear()
    broker = Broker(server.url, transport, lambda style, ticket: pytest.fail("nothing is sent"), None)
    try:
        with LocalWorkers(broker, [find_style("test-identity")], 1, lambda _: None):
            (beat,) = transport.workers()
            assert psutil.Process(beat.pid).environ()["PAINTER_THREADS"] == "3"
    finally:
        settings.cache_clear()
