"""Who opens the page sees their own files and nobody else's; who is turned away sees what is asked for."""

import asyncio
from pathlib import Path

import pytest

from tests.media import Clip, make_clip
from tests.viewer.pages import Site, jpeg, open_site, run

POST = "/api/jobs?style=test-identity"


async def _visitor(site: Site) -> dict[str, str]:
    """Open the page as a browser does; return the cookie it was given."""
    async with site.client() as client, client.get("/") as answer:
        name = answer.cookies["painter-visitor"]
        assert name["httponly"]
        assert name["samesite"] == "Strict"
        return {"Cookie": f"painter-visitor={name.value}"}


def test_what_one_visitor_hands_in_another_neither_sees_nor_fetches_nor_ends(site: Site) -> None:
    async def visit() -> None:
        one, other = [await _visitor(site) for _ in range(2)]
        assert one != other
        async with site.client(one) as client, client.post(POST, data=jpeg()) as answer:
            assert answer.status == 201
            number = (await answer.json())["id"]
        for headers in (other, {}, {"Cookie": "painter-visitor=guess"}):
            async with site.client(headers) as client:
                async with client.get("/api/jobs") as answer:
                    assert (await answer.json())["jobs"] == []
                for method, path in (("GET", f"/api/jobs/{number}/output"), ("DELETE", f"/api/jobs/{number}")):
                    async with client.request(method, path) as answer:
                        assert answer.status == 404
        async with site.client(one) as client, client.get("/api/jobs") as answer:
            assert [job["id"] for job in (await answer.json())["jobs"]] == [number]
        async with site.client(one) as client, client.get("/") as answer:
            assert "painter-visitor" not in answer.cookies, "who has a name keeps it"

    run(visit())


def test_the_page_that_asks_for_the_token_has_its_style_and_nothing_else_comes_without(guarded: Site) -> None:
    async def visit() -> None:
        async with guarded.client() as client:
            async with client.get("/") as answer:
                assert answer.status == 401
                page = await answer.text()
            assert "`" not in page
            assert '<link rel="stylesheet" href="/static/login.css">' in page
            async with client.get("/static/login.css") as answer:
                assert (answer.status, answer.content_type) == (200, "text/css")
            for path in ("/static/main.js", "/static/login.css/../main.js", "/static/LOGIN.css"):
                async with client.get(path) as answer:
                    assert answer.status == 401, path

    run(visit())


@pytest.mark.timeout(60)
def test_files_of_a_style_nobody_serves_say_so_and_hold_no_other_style_up(site: Site, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=4)).read_bytes()

    async def visit(site: Site) -> None:
        async with site.client({"X-File-Name": "film.mp4"}) as client:
            for style in ("test-sleep-1", "test-sleep-1", "test-sleep-2"):
                async with client.post(f"/api/jobs?style={style}", data=clip) as answer:
                    assert answer.status == 201
            async with asyncio.timeout(40):
                while True:
                    async with client.get("/api/jobs") as answer:
                        jobs = (await answer.json())["jobs"]
                    said = [job["message"] for job in jobs]
                    if all(said):
                        break
                    await asyncio.sleep(0.1)
        assert {job["state"] for job in jobs} == {"painting"}, "the third is in no queue behind the first two"
        assert said[0] == "no worker for test-sleep-1; start one: painter work --styles test-sleep-1"

    with open_site(site.broker_url, None, "test-sleep-1", "test-sleep-2", uploads=3) as both:
        run(visit(both))
