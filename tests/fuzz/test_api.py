"""Whatever is asked of the page server, in whatever way: an answer of its own in one line, no fault, no hang."""

import asyncio
import json
from collections.abc import Iterator

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.server.embedded import EmbeddedServer
from tests.viewer.pages import Site, jpeg, open_site

PATHS = (
    "/",
    "/ws",
    "/healthz",
    "/metrics",
    "/api/stats",
    "/api/streams",
    "/api/jobs",
    "/api/jobs/0/output",
    "/api/jobs/0",
)
NAMES = ("style", "strength", "keep_colours", "token", "exp", "sig", "x")
_word = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20)
_header = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
# `;` and `%` with what may follow them: a path as an attacker writes it.
_path = st.one_of(
    st.sampled_from(PATHS),
    st.builds(
        lambda room, name: f"/{room}/{name}", st.sampled_from(("streams", "styles", "static", "api/jobs")), _word
    ),
    st.sampled_from(
        ("/static/../server.py", "/static/%2e%2e/server.py", "/streams/%00.mjpg", "/styles/..%2f..%2fx.jpg")
    ),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A page server with a frame server and no workers."""
    server = EmbeddedServer(tmp_path_factory.mktemp("api"), maxmemory_mb=64)
    server.start()
    with open_site(server.url) as opened:
        yield opened
    server.stop()


@settings(max_examples=250, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    method=st.sampled_from(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")),
    path=_path,
    query=st.dictionaries(st.one_of(st.sampled_from(NAMES), _word), _word, max_size=3),
    headers=st.dictionaries(
        st.sampled_from(
            ("X-File-Name", "Authorization", "Cookie", "Origin", "Host", "Range", "If-None-Match", "Accept")
        ),
        _header,
        max_size=3,
    ),
    body=st.one_of(st.just(b""), st.binary(max_size=200), st.just(jpeg())),
)
@pytest.mark.timeout(120)
def test_any_request_is_answered_by_the_server_itself(
    site: Site, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes
) -> None:
    async def ask() -> None:
        async with site.client() as session:
            request = session.request(
                method, path, params=query, headers=headers, data=body or None, allow_redirects=False
            )
            async with asyncio.timeout(10), request as answer:
                assert answer.status < 500, (answer.status, await answer.text())
                assert answer.headers["X-Content-Type-Options"] == "nosniff" or answer.status == 400
                told = await answer.content.read(1 << 16) if ".mjpg" not in path else b""
                if answer.status >= 400 and told and answer.content_type == "application/json":
                    said = json.loads(told)["error"]
                    assert "\n" not in said
                    assert "/tmp" not in said
                    assert "Traceback" not in said

    try:
        asyncio.run(ask())
    except (aiohttp.InvalidURL, aiohttp.ClientPayloadError):
        return


@settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(st.binary(max_size=64), _word), min_size=1, max_size=5))
@pytest.mark.timeout(120)
def test_any_message_leaves_the_page_its_socket_or_closes_it_with_a_code(site: Site, said: list[bytes | str]) -> None:
    async def talk() -> None:
        async with site.tab() as tab:
            for one in said:
                await (tab.socket.send_bytes(one) if isinstance(one, bytes) else tab.socket.send_str(one))
            await tab.watch("nobody")
            assert (await tab.hear("error"))["message"]

    asyncio.run(talk())


def test_the_server_is_well_after_all_that(site: Site) -> None:
    async def ask() -> None:
        async with site.client() as session, session.get("/healthz") as answer:
            assert answer.status == 200

    asyncio.run(ask())
