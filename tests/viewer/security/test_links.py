"""A signed link opens one stream, for its time; nothing opens another page's camera."""

import asyncio
import time

from yarl import URL

from tests.viewer.pages import Site, run
from tests.viewer.security.conftest import TOKEN, camera_links, cookie
from viewer.web.security import make_access


def test_a_signed_link_opens_its_own_stream_to_a_program_without_cookie_and_nothing_else(guarded: Site) -> None:
    access = make_access("0.0.0.0", TOKEN, secure=False)

    async def attack() -> None:
        async with guarded.client() as client, guarded.tab(headers=cookie(access)) as tab:
            links = await camera_links(tab)
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
        async with guarded.client() as client, guarded.tab(headers=cookie(access)) as tab:
            path = (await camera_links(tab))["mjpg"].partition("?")[0]
            link = access.sign(path, int(time.time()) + 2)
            async with asyncio.timeout(8), client.get(URL(link, encoded=True)) as answer:
                assert answer.status == 200
                await answer.read()

    run(visit())


def test_a_pages_camera_is_nobody_elses_to_watch(site: Site) -> None:
    async def attack() -> None:
        async with site.tab() as owner, site.tab() as other, site.client() as client:
            links = await camera_links(owner)
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
