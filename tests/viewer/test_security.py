"""Nobody gets in: each door of the page server is tried as an attacker would."""

import asyncio
import hmac
import os
import socket
import ssl
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPSConnection
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from commands.page import Door
from pipeline.errors import UsageError
from pipeline.process.config import cache_dir, data_dir, settings
from pipeline.server.embedded import EmbeddedServer
from tests.viewer.pages import DEADLINE_S, Site, Tab, jpeg, open_site, run
from tests.waiting import eventually
from viewer import tls
from viewer.web.security import MIN_TOKEN, Access, make_access

TOKEN = "correct-horse-battery"
POST = "/api/jobs?style=test-identity"
#: One of each kind of answer.
PATHS = ["/api/stats", "/api/streams", "/metrics", "/ws", "/static/index.html", "/styles/wave.jpg", "/api/jobs"]
PATHS += ["/api/jobs/x/output", "/streams/x.mjpg", "/streams/x.jpg", "/nothing"]


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


# -- files -------------------------------------------------------------------------------------------------------------


OUTSIDE = [
    "/static/../web/middleware.py",
    "/static/%2e%2e/web/middleware.py",
    "/static/..%2fserver.py",
    "/static//etc/passwd",
]
OUTSIDE += ["/static//etc/passwd", "/styles/..%2f..%2fpyproject.jpg", "/static/", "/api/jobs/..%2f../output"]


def test_no_path_leads_out_of_the_page(site: Site) -> None:
    async def attack() -> None:
        async with site.client() as client:
            for path in OUTSIDE:
                async with client.get(URL(site.url + path, encoded=True)) as answer:
                    assert answer.status in (403, 404), path

    run(attack())


def _left() -> list[Path]:
    return [path for path in (cache_dir() / "uploads").rglob("*") if path.is_file()]


def test_uploads_lie_in_a_folder_of_ours_whatever_they_are_called(site: Site) -> None:
    async def attack() -> None:
        async with site.client({"X-File-Name": "..%2F..%2Fetc%2Fpasswd%00.jpg"}) as client:
            async with client.post(POST, data=jpeg()) as answer:
                assert answer.status == 201
            async with client.get("/api/jobs") as answer:
                (job,) = (await answer.json())["jobs"]
            assert job["name"] == "passwd.jpg"

    run(attack())
    folder = cache_dir() / "uploads" / str(os.getpid())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name for path in _left()} <= {"source.jpg", "lock", "manifest.json"}


STRANGE = {
    "hls": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "concat": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "dash": b"<?xml version='1.0'?><MPD></MPD>",
    "svg": b"<svg/>",
    "pdf": b"%PDF-1.7",
    "heic": b"\0\0\0\x20ftypheic" + bytes(64),
    "stub": b"\xff",
    "empty": b"",
}


@pytest.mark.parametrize("body", STRANGE.values(), ids=STRANGE)
def test_a_playlist_or_anything_else_that_names_other_files_is_no_upload(site: Site, body: bytes) -> None:
    async def attack() -> None:
        async with site.client({"X-File-Name": "clip.mp4"}) as client, client.post(POST, data=body) as answer:
            assert answer.status == 400
            assert str(cache_dir()) not in await answer.text()

    run(attack())
    assert _left() == []


def test_a_broken_upload_is_refused_without_saying_where_we_keep_it(site: Site) -> None:
    async def attack() -> None:
        body = b"\0\0\0\x20ftypisom" + bytes(4000)
        async with site.client({"X-File-Name": "a.mp4"}) as client, client.post(POST, data=body) as answer:
            assert answer.status == 400
            assert str(cache_dir()) not in await answer.text()

    run(attack())
    assert _left() == []


@pytest.mark.parametrize("chunked", [False, True], ids=["said beforehand", "found out"])
def test_an_upload_above_the_limit_is_refused_and_nothing_of_it_stays(server: EmbeddedServer, chunked: bool) -> None:
    async def attack(site: Site) -> None:
        async def chunks() -> object:
            yield jpeg()
            for _ in range(64):
                yield bytes(4096)

        body = chunks() if chunked else jpeg() + bytes(1 << 18)
        async with site.client() as client, client.post(POST, data=body) as answer:
            assert answer.status == 413

    with open_site(server.url, upload_bytes=1 << 16) as site:
        run(attack(site))
        assert _left() == []


def test_uploads_left_by_a_killed_server_are_removed(server: EmbeddedServer) -> None:
    left = cache_dir() / "uploads" / "4194304"
    left.mkdir(parents=True)
    (left / "source.mp4").write_bytes(b"private")
    with open_site(server.url):
        assert not left.exists()
    assert _left() == []


# -- how much, how often, how many -------------------------------------------------------------------------------------


def test_a_message_above_the_limit_ends_the_socket(server: EmbeddedServer) -> None:
    async def attack(site: Site) -> None:
        async with site.tab() as tab:
            await tab.picture(bytes(1 << 18), 0)
            assert await tab.closed() == aiohttp.WSCloseCode.MESSAGE_TOO_BIG

    with open_site(server.url, picture_bytes=1 << 16) as site:
        run(attack(site))


def test_a_picture_that_claims_to_be_huge_is_refused_by_its_header(site: Site) -> None:
    small = jpeg()
    at = small.index(b"\xff\xc0") + 5
    bomb = small[:at] + b"\xff\xff\xff\xff" + small[at + 4 :]

    async def attack() -> None:
        async with site.tab() as tab:
            await tab.camera("test-identity")
            await tab.picture(bomb, 0)
            assert "65535" in (await tab.hear("error"))["message"]

    run(attack())


WRONG = [
    "", "[]", "7", "{", "[" * 3000, '{"type":"open sesame"}', '{"type":"watch"}', '{"type":"watch","streams":"x"}',
    '{"type":"watch","streams":["a:b"]}', '{"type":"watch","streams":["\\u0000"]}', '{"type":"camera","styles":[1]}',
    '{"type":"camera","styles":["test-identity"],"strength":NaN}', '{"type":"camera","styles":["no-such"]}',
    '{"type":"camera","styles":["test-identity"],"strength":2}', '{"type":"camera","styles":[]}',
    '{"type":"drawn","stream":"x","seq":-1}', '{"type":"drawn","stream":"x","seq":true}',
    '{"type":"drawn","stream":"x","seq":1,"delay_ms":1e999}', '{"type":"wish","stream":"x","style":"test-identity"}',
]  # fmt: skip


def test_a_wrong_message_is_answered_in_words_and_the_page_goes_on(site: Site) -> None:
    async def attack() -> None:
        async with site.tab() as tab:
            for text in WRONG:
                await tab.socket.send_str(text)
                assert (await tab.hear("error"))["message"], text
            assert await tab.camera("test-identity")

    run(attack())


def test_a_wrong_binary_message_is_answered_in_words(site: Site) -> None:
    async def attack() -> None:
        async with site.tab() as tab:
            await tab.camera("test-identity")
            for data in (b"", b"\x01", b"\x02" + bytes(100), b"\x01" + b"\xff" * 8 + b"x", bytes(9)):
                await tab.socket.send_bytes(data)
                assert (await tab.hear("error"))["message"], data

    run(attack())


def test_a_flood_of_messages_ends_the_socket(site: Site) -> None:
    async def attack() -> None:
        async with site.tab() as tab:
            for _ in range(200):
                await tab.say("watch", streams=[])
            assert await tab.closed() == aiohttp.WSCloseCode.POLICY_VIOLATION

    run(attack())


def test_pictures_above_the_rate_are_dropped_and_said(site: Site) -> None:
    async def attack() -> None:
        async with site.tab() as tab:
            (stream,) = (await tab.camera("test-identity")).values()
            for number in range(400):
                await tab.picture(jpeg(), number)
            assert "60 pictures a second" in (await tab.hear("error"))["message"]
            card = (await tab.hear("streams"))["streams"][0]
            assert card["name"] == stream
            assert card["captured"] <= 130

    run(attack())


def test_sessions_and_pages_are_counted(server: EmbeddedServer) -> None:
    async def attack(site: Site) -> None:
        async with site.tab() as first, site.tab() as second:
            await first.camera("test-identity")
            await second.say("camera", styles=["test-identity"])
            assert "all 1 camera places are taken" in (await second.hear("error"))["message"]
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with site.tab():
                    pass
            assert refused.value.status == 503
            await first.say("camera_off")
            await first.hear("stats", sessions=0)
            assert await second.camera("test-identity")

    with open_site(server.url, sessions=1, pages=2) as site:
        run(attack(site))


# -- links -------------------------------------------------------------------------------------------------------------


async def _camera(tab: Tab) -> dict[str, str]:
    """Open a camera; return its stream's signed links."""
    (stream,) = (await tab.camera("test-identity")).values()
    while not (cards := (await tab.hear("streams"))["streams"]):
        pass
    assert cards[0]["name"] == stream
    links: dict[str, str] = cards[0]["links"]
    return links


def _cookie(access: Access) -> dict[str, str]:
    return {"Cookie": f"{access.cookie_name}={access.cookie_value}"}


def test_a_signed_link_opens_its_own_stream_to_a_program_without_cookie_and_nothing_else(guarded: Site) -> None:
    access = make_access("0.0.0.0", TOKEN, secure=False)

    async def attack() -> None:
        async with guarded.client() as client, guarded.tab(headers=_cookie(access)) as tab:
            links = await _camera(tab)
            async with client.get(URL(links["mjpg"], encoded=True)) as answer:
                assert answer.status == 200
                assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
            path, _, query = links["jpg"].partition("?")
            expires = query.partition("exp=")[2].partition("&")[0]
            for wrong in (
                path,
                f"{path}?{query[:-1]}",
                f"{path}?{query}".replace(expires, str(int(expires) + 1)),
                f"/streams/other.jpg?{query}",
                f"{path.replace('.jpg', '.mjpg')}?{query}",
                f"/api/stats?{query}",
                access.sign(path, int(time.time()) - 1),
            ):
                async with client.get(URL(guarded.url + wrong, encoded=True)) as answer:
                    assert answer.status == 401, wrong
            async with client.post(URL(links["jpg"], encoded=True)) as answer:
                assert answer.status == 401

    run(attack())


def test_a_linked_stream_ends_when_its_link_does(guarded: Site) -> None:
    access = make_access("0.0.0.0", TOKEN, secure=False)

    async def visit() -> None:
        async with guarded.client() as client, guarded.tab(headers=_cookie(access)) as tab:
            path = (await _camera(tab))["mjpg"].partition("?")[0]
            link = access.sign(path, int(time.time()) + 2)
            async with asyncio.timeout(8), client.get(URL(link, encoded=True)) as answer:
                assert answer.status == 200
                await answer.read()

    run(visit())


def test_a_pages_camera_is_nobody_elses_to_watch(site: Site) -> None:
    async def attack() -> None:
        async with site.tab() as owner, site.tab() as other, site.client() as client:
            links = await _camera(owner)
            (stream,) = owner.last["camera"]["streams"].values()
            await other.watch(stream)
            assert "no stream" in (await other.hear("error"))["message"]
            await other.say("wish", stream=stream, style="test-identity")
            assert "no stream" in (await other.hear("error"))["message"]
            assert (await other.hear("streams"))["streams"] == []
            async with client.get("/api/streams") as answer:
                assert (await answer.json())["streams"] == []
            async with client.get(links["mjpg"].partition("?")[0]) as answer:
                assert answer.status == 404

    run(attack())


# -- TLS ---------------------------------------------------------------------------------------------------------------


def test_a_self_signed_certificate_serves_https_with_secure_cookies_and_a_private_key(server: EmbeddedServer) -> None:
    def visit(site: Site) -> None:
        trust = ssl.create_default_context(cafile=str(data_dir() / "tls" / "certificate.pem"))
        with closing(HTTPSConnection("127.0.0.1", site.page.server.port, timeout=5, context=trust)) as connection:
            connection.request("GET", f"/?token={TOKEN}")
            answer = connection.getresponse()
            assert answer.status == 303
            assert "Secure" in answer.headers["Set-Cookie"]

    door = Door("127.0.0.1", 0, TOKEN, tls_self_signed=True)
    with open_site(server.url, door) as first:
        visit(first)
        known = (data_dir() / "tls" / "certificate.pem").read_bytes()
    with open_site(server.url, door):
        assert (data_dir() / "tls" / "certificate.pem").read_bytes() == known, "browsers would ask again"
    assert stat.S_IMODE((data_dir() / "tls" / "key.pem").stat().st_mode) == 0o600
    context = tls.server_context(data_dir() / "tls" / "certificate.pem", data_dir() / "tls" / "key.pem")
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_tls_that_cannot_work_is_said_before_anything_starts(server: EmbeddedServer, tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    for door in (Door("127.0.0.1", 0, tls_cert=junk), Door("127.0.0.1", 0, tls_cert=junk, tls_key=junk)):
        with pytest.raises(UsageError), open_site(server.url, door):
            pass


def test_a_port_that_is_taken_is_said(site: Site, server: EmbeddedServer) -> None:
    with (
        pytest.raises(UsageError, match="is taken"),
        open_site(server.url, Door("127.0.0.1", site.page.server.port)),
    ):
        pass


def test_a_page_whose_line_is_cut_frees_its_camera_within_five_seconds(site: Site) -> None:
    async def attack() -> None:
        # It answers no ping, as a page whose machine went to sleep.
        async with site.tab(autoping=False) as tab:
            await tab.camera("test-identity")
            await eventually(site.transport.streams, DEADLINE_S)
            assert await eventually(lambda: not site.transport.streams(), 6) < 5.0

    run(attack())
