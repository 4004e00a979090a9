"""What programs and films that are handed in get of the page server."""

import asyncio
import io
import os
from pathlib import Path

import aiohttp
import av
import pytest

from pipeline.process.config import cache_dir
from pipeline.protocol.codec import probe
from pipeline.server.embedded import EmbeddedServer
from tests.media import Clip, make_clip
from tests.viewer.pages import Site, open_site, run
from tests.viewer.server.conftest import STYLES
from tests.viewer.server.filming import filming, stream_links
from tests.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("page_programs")]  # they share `studio`


def test_other_programs_get_each_picture_whole_as_soon_as_it_is_painted(site: Site) -> None:
    async def visit() -> None:
        async with site.tab() as tab, site.client() as client:
            await tab.camera("test-identity")
            links = await stream_links(tab)
            async with filming(tab), client.get(links["mjpg"]) as answer:
                assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
                assert await answer.content.readline() == b"--frame\r\n"
                for _ in range(10):
                    head = await answer.content.readuntil(b"\r\n\r\n")
                    length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
                    assert probe(await answer.content.readexactly(length)).width == 64
                    # The boundary comes with the picture, not with the next one.
                    assert await answer.content.readexactly(11) == b"\r\n--frame\r\n"
                async with client.get(links["jpg"]) as one:
                    assert one.content_type == "image/jpeg"
                    assert probe(await one.read()).height == 48

    run(visit())


def test_a_program_that_leaves_gives_its_place_back(studio: EmbeddedServer) -> None:
    async def visit(site: Site) -> None:
        async with site.tab() as tab:
            await tab.camera("test-identity")
            links = await stream_links(tab)
            async with filming(tab):
                async with site.client() as client, client.get(links["mjpg"]) as first:
                    await first.content.readline()
                    async with client.get(links["jpg"]) as second:
                        assert second.status == 503
                await tab.hear("stats", programs=0)

    with open_site(studio.url, None, *STYLES, programs=1) as site:
        run(visit(site))


async def _job(client: aiohttp.ClientSession, number: str, *states: str) -> dict[str, object]:
    """Return a job's card once it is in one of `states`."""
    async with asyncio.timeout(40):
        while True:
            async with client.get("/api/jobs") as answer:
                (card,) = [job for job in (await answer.json())["jobs"] if job["id"] == number]
            if card["state"] in states:
                found: dict[str, object] = card
                return found
            await asyncio.sleep(0.02)


def test_a_film_handed_in_comes_back_painted_under_its_own_name(site: Site, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=20))

    async def visit() -> None:
        async with site.client({"X-File-Name": "Mein%20Film.mp4"}) as client:
            async with client.post("/api/jobs?style=test-identity&strength=0.5", data=clip.read_bytes()) as answer:
                assert answer.status == 201
                number = (await answer.json())["id"]
            card = await _job(client, number, "done", "failed")
            assert (card["state"], card["name"], card["done"]) == ("done", "Mein Film.mp4", 20)
            async with client.get(str(card["output"])) as answer:
                assert "Mein%20Film.test-identity.mp4" in answer.headers["Content-Disposition"]
                with av.open(io.BytesIO(await answer.read())) as film:
                    assert sum(1 for _ in film.decode(video=0)) == 20
            async with client.delete(f"/api/jobs/{number}") as answer:
                assert answer.status == 204
            async with client.get(str(card["output"])) as answer:
                assert answer.status == 404

    run(visit())


def test_a_cancelled_film_leaves_nothing_behind(site: Site, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=400))

    async def visit() -> None:
        async with site.client({"X-File-Name": "long.mp4"}) as client:
            async with client.post("/api/jobs?style=test-sleep-40", data=clip.read_bytes()) as answer:
                number = (await answer.json())["id"]
            await _job(client, number, "painting")
            async with client.delete(f"/api/jobs/{number}") as answer:
                assert answer.status == 204
            async with client.get("/api/jobs") as answer:
                assert (await answer.json())["jobs"] == []
        uploads = cache_dir() / "uploads"
        # `os.walk`, since folders may go while they are looked into.
        await eventually(lambda: not any(files for *_, files in os.walk(uploads)), 10, "no file left")

    run(visit())
