"""Nobody gets in by another name, from another site or without the token."""

import hmac
import socket

import aiohttp
import pytest
from yarl import URL

from commands.page import Door
from pipeline.errors import UsageError
from pipeline.server.embedded import EmbeddedServer
from tests.viewer.pages import Site, open_site, run
from tests.viewer.security.conftest import TOKEN
from viewer.web.security import MIN_TOKEN, make_access

POST = "/api/jobs?style=test-identity"
#: One of each kind of answer.
PATHS = ["/api/stats", "/api/streams", "/metrics", "/ws", "/static/index.html", "/styles/wave.jpg", "/api/jobs"]
PATHS += ["/api/jobs/x/output", "/streams/x.mjpg", "/streams/x.jpg", "/nothing"]


# -- names and origins -------------------------------------------------------------------------------------------------


STRANGERS = ["evil.example", "evil.example:8080", "192.168.0.7", "localhost.evil.example", "", "["]


def test_another_host_name_is_turned_away_so_dns_cannot_bring_strangers(site: Site) -> None:
    async def attack() -> None:
        async with site.client() as client:
            for host in STRANGERS:
                async with client.get("/api/stats", headers={"Host": host}) as answer:
                    assert answer.status == 421 or (host == "" and answer.status == 400), host

    run(attack())


def test_this_machine_is_known_by_all_its_names(site: Site) -> None:
    async def visit() -> None:
        port = site.page.server.port
        async with site.client() as client:
            for host in (f"localhost:{port}", "127.0.0.1", f"[::1]:{port}", "127.8.9.10:1"):
                async with client.get("/api/stats", headers={"Host": host}) as answer:
                    assert answer.status == 200, host

    run(visit())


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Sec-Fetch-Site": "cross-site"}],
    ids=str,
)
def test_a_page_of_another_site_cannot_open_the_socket_nor_change_anything(site: Site, headers: dict[str, str]) -> None:
    async def attack() -> None:
        async with site.client() as client:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.ws_connect("/ws", headers=headers)
            assert refused.value.status == 403
            for method, path in (("POST", POST), ("DELETE", "/api/jobs/x")):
                async with client.request(method, path, headers=headers) as answer:
                    assert answer.status == 403

    run(attack())


def test_another_port_of_this_machine_is_another_site(site: Site) -> None:
    async def attack() -> None:
        async with site.client() as client:
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await client.ws_connect("/ws", headers={"Origin": "http://127.0.0.1:1"})

    run(attack())


def test_our_own_page_may(site: Site) -> None:
    async def visit() -> None:
        async with site.tab(headers={"Origin": site.url, "Sec-Fetch-Site": "same-origin"}) as tab:
            await tab.hear("hello")

    run(visit())


# -- the token ---------------------------------------------------------------------------------------------------------


WRONG_KEYS: dict[str, dict[str, str]] = {
    "nothing": {},
    "wrong token": {"Authorization": f"Bearer {TOKEN}x"},
    "wrong scheme": {"Authorization": f"Basic {TOKEN}"},
    "made-up cookie": {"Cookie": f"painter={TOKEN}"},
}


@pytest.mark.parametrize("headers", WRONG_KEYS.values(), ids=WRONG_KEYS)
def test_nothing_is_answered_without_the_token(guarded: Site, headers: dict[str, str]) -> None:
    async def attack() -> None:
        async with guarded.client() as client:
            for path in PATHS:
                async with client.get(path, headers=headers) as answer:
                    assert answer.status == 401, path
                    assert TOKEN not in await answer.text()

    run(attack())


def test_the_token_becomes_a_cookie_scripts_cannot_read_and_leaves_the_address(guarded: Site) -> None:
    async def visit() -> None:
        async with guarded.client() as client:
            async with client.get("/", params={"token": TOKEN}, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, "/")
                (cookie,) = answer.cookies.values()
            assert cookie["httponly"]
            assert cookie["samesite"] == "Strict"
            assert TOKEN not in cookie.value
            async with client.get("/api/stats", headers={"Cookie": f"{cookie.key}={cookie.value}"}) as answer:
                assert answer.status == 200

    run(visit())


def test_programs_send_the_token_as_a_bearer(guarded: Site) -> None:
    async def visit() -> None:
        async with guarded.client({"Authorization": f"Bearer {TOKEN}"}) as client, client.get("/metrics") as answer:
            assert answer.status == 200

    run(visit())


def test_a_wrong_token_gives_no_cookie_and_is_not_repeated(guarded: Site) -> None:
    async def attack() -> None:
        async with guarded.client() as client:
            for query in ("token=", "token=wrong", f"token={TOKEN[:-1]}", "token=%ff%fe", "token=%00"):
                async with client.get(URL(f"{guarded.url}/?{query}", encoded=True)) as answer:
                    assert answer.status == 401, query
                    assert not answer.cookies
                    assert TOKEN[:-1] not in await answer.text()

    run(attack())


def test_bytes_that_are_no_text_are_turned_away_like_any_wrong_cookie(guarded: Site) -> None:
    request = b"GET /api/stats HTTP/1.1\r\nHost: localhost\r\nCookie: %s=\xff\xfe\r\nConnection: close\r\n\r\n"
    name = make_access("0.0.0.0", TOKEN, secure=False).cookie_name.encode()
    with socket.create_connection(("127.0.0.1", guarded.page.server.port), timeout=5) as wire:
        wire.sendall(request % name)
        assert wire.recv(64).split()[1] in (b"400", b"401")


def test_other_machines_need_a_token_that_was_made_when_none_was_given(server: EmbeddedServer) -> None:
    with open_site(server.url, Door("0.0.0.0", 0)) as opened:
        assert len(opened.token) >= 32
        assert opened.page.needs_token


def test_a_token_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(UsageError, match="could be guessed"):
        make_access("0.0.0.0", "x" * (MIN_TOKEN - 1), secure=False)


def test_every_secret_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    whole = hmac.compare_digest

    def compare(given: bytes, ours: bytes) -> bool:
        compared.append(ours.decode())
        return whole(given, ours)

    access = make_access("0.0.0.0", TOKEN, secure=False)
    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert not access.accepts_token(TOKEN[:-1])
    assert not access.admits("cookie", "Bearer bearer")
    assert access.expiry_of("/streams/x.jpg", {"exp": "1", "sig": "signature"}) is None
    signature = access.sign("/streams/x.jpg", 1).partition("sig=")[2]
    assert compared == [TOKEN, TOKEN, access.cookie_value, signature]


def test_no_secret_shows_in_a_text() -> None:
    access = make_access("0.0.0.0", TOKEN, secure=True)
    assert TOKEN not in repr(access)
    assert access.cookie_value not in repr(access)


def test_health_is_told_to_anybody_and_says_nothing_else(guarded: Site) -> None:
    async def visit() -> None:
        async with guarded.client() as client, client.get("/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"ok": True})

    run(visit())


# -- headers -----------------------------------------------------------------------------------------------------------


def test_every_answer_keeps_scripts_frames_and_guesses_out(site: Site) -> None:
    async def visit() -> None:
        async with site.client() as client:
            for path in ("/", "/nothing", "/api/stats", "/static/index.html"):
                async with client.get(path) as answer:
                    policy = answer.headers["Content-Security-Policy"]
                    assert "default-src 'none'" in policy
                    assert "frame-ancestors 'none'" in policy
                    assert "unsafe" not in policy
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
                    assert answer.headers["Referrer-Policy"] == "no-referrer"
                    assert "aiohttp" not in answer.headers["Server"]

    run(visit())
