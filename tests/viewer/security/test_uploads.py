"""What is handed in lies in a folder of ours, is what it says it is, and does not stay."""

import os
import stat
from pathlib import Path

import pytest
from yarl import URL

from pipeline.process.config import cache_dir
from pipeline.server.embedded import EmbeddedServer
from tests.viewer.pages import Site, jpeg, open_site, run

POST = "/api/jobs?style=test-identity"

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
