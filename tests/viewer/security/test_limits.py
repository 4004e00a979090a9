"""No page takes more of the server than its share: bytes, messages, pictures, places."""

import time

import aiohttp
import pytest

from pipeline.server.embedded import EmbeddedServer
from tests.viewer.pages import DEADLINE_S, Site, jpeg, open_site, run
from tests.waiting import eventually
from viewer.web.limits import Bucket


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


def test_a_bucket_gives_a_second_s_worth_at_once_and_then_its_rate() -> None:
    bucket = Bucket(60.0, 100.0)
    assert sum(bucket.take(100.0) for _ in range(400)) == 60
    assert [bucket.take(100.0 + ms / 1000) for ms in (16, 17, 33, 34)] == [False, True, False, True]
    assert sum(bucket.take(200.0) for _ in range(400)) == 60, "what is not taken does not add up"


def test_a_flood_of_messages_ends_the_socket(server: EmbeddedServer) -> None:
    async def attack(site: Site) -> None:
        async with site.tab() as tab:
            for _ in range(200):
                await tab.say("watch", streams=[])
            assert await tab.closed() == aiohttp.WSCloseCode.POLICY_VIOLATION

    # So few that a slow machine, on which the flood takes seconds, still floods.
    with open_site(server.url, messages_per_s=5) as site:
        run(attack(site))


def test_pictures_above_the_rate_are_dropped_and_said(server: EmbeddedServer) -> None:
    async def attack(site: Site) -> None:
        async with site.tab() as tab:
            (stream,) = (await tab.camera("test-identity")).values()
            began_s = time.monotonic()
            for number in range(400):
                await tab.picture(jpeg(), number)
            assert "20 pictures a second" in (await tab.hear("error"))["message"]
            card = (await tab.hear("streams"))["streams"][0]
            assert card["name"] == stream
            assert card["captured"] <= 20 * (1 + time.monotonic() - began_s)

    with open_site(server.url, pictures_per_s=20) as site:
        run(attack(site))


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


@pytest.mark.serial
def test_a_page_whose_line_is_cut_frees_its_camera_within_five_seconds(site: Site) -> None:
    async def attack() -> None:
        # It answers no ping, as a page whose machine went to sleep.
        async with site.tab(autoping=False) as tab:
            await tab.camera("test-identity")
            await eventually(site.transport.streams, DEADLINE_S)
            assert await eventually(lambda: not site.transport.streams(), 6) < 5.0

    run(attack())
