"""A file goes on through a failover: the master dies, the sentinels name its replica, every frame arrives once."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from PIL import Image

from pipeline.process.config import settings
from pipeline.server.connection import answers, open_client, without_password
from pipeline.server.transport import Transport
from tests.fleet.places import Running, binary, environment, free_port, running, worker
from tests.waiting import WaitUntil

# Twenty milliseconds a frame: the job runs for seconds, and the failover falls into it.
STYLE = "test-sleep-20"
PHOTOS = 200
SENTINEL_CONF = """\
port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor painter 127.0.0.1 {master} 1
sentinel down-after-milliseconds painter 500
sentinel failover-timeout painter 2000
"""


@dataclass(frozen=True, slots=True)
class Watched:
    """A master, its replica and a sentinel."""

    master: Running
    master_port: int
    url: str


def _redis(folder: Path, port: int, *more: str) -> list[str]:
    folder.mkdir()
    argv = [binary("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    return [*argv, "--repl-diskless-sync-delay", "0", *more]


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil) -> Iterator[Watched]:
    monkeypatch.setenv("PAINTER_SENTINEL_MASTER", "painter")
    settings.cache_clear()
    sentinel = binary("redis-sentinel")
    ports = [free_port() for _ in range(3)]
    conf = tmp_path / "sentinel.conf"
    conf.write_text(SENTINEL_CONF.format(port=ports[2], folder=tmp_path, master=ports[0]))
    with ExitStack() as stack:
        master = stack.enter_context(running(_redis(tmp_path / "one", ports[0])))
        stack.enter_context(running(_redis(tmp_path / "two", ports[1], "--replicaof", "127.0.0.1", str(ports[0]))))
        wait_until(lambda: _info(ports[1]).get("master_link_status") == "up", 20, "the replica")
        stack.enter_context(running([sentinel, str(conf)], log=tmp_path / "sentinel.log"))
        url = f"sentinel://127.0.0.1:{ports[2]}/0"
        wait_until(lambda: answers(url), 20, "the sentinel")
        wait_until(lambda: _replicas(ports[2]) == 1, 20, "the sentinel to know the replica")
        yield Watched(master, ports[0], url)


def _info(port: int) -> dict[str, object]:
    try:
        with redis.Redis(port=port) as client:
            return dict(client.info("replication"))
    except redis.ConnectionError:
        return {}


def _replicas(port: int) -> int:
    with redis.Redis(port=port, decode_responses=True) as client:
        return int(client.sentinel_master("painter")["num-slaves"])


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_failover_under_a_running_job_costs_no_frame(watched: Watched, tmp_path: Path, wait_until: WaitUntil) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(PHOTOS):
        Image.new("RGB", (32, 32), (number, 0, 255 - number)).save(photos / f"{number:03}.png")
    env = environment(BROKER_URL=watched.url, PAINTER_SENTINEL_MASTER="painter")
    argv = [sys.executable, "-m", "cli", "paint", str(photos), "-s", STYLE, "--json"]
    with running(worker(STYLE), env, tmp_path / "worker.log"):
        transport = Transport.connect(watched.url)
        wait_until(transport.workers, 40, "the worker")
        job = subprocess.Popen(argv, env={**env, "PATH": ""}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: any(card.painted > 5 for card in transport.streams()), 30, "the first paintings")
        watched.master.kill()
        out, said = job.communicate(timeout=80)
        transport.close()
    assert job.returncode == 0, said
    report = json.loads(out.strip().splitlines()[-1])
    assert report["frames"] == PHOTOS
    assert report["resubmitted"] > 0, "the failover came after the job"
    painted = sorted((tmp_path / f"photos.{STYLE}").iterdir())
    assert [path.name for path in painted] == [f"{number:03}.png" for number in range(PHOTOS)]
    for number, path in enumerate(painted):
        with Image.open(path) as picture:
            assert picture.getpixel((16, 16)) == (number, 0, 255 - number)


def test_passwords_of_no_sentinel_are_shown() -> None:
    shown = without_password("sentinel://:one@a:1/0;sentinel://:two@b:2")
    assert shown == "sentinel://:***@a:1/0;sentinel://:***@b:2"


def test_a_master_nobody_watches_is_no_server(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answers(watched.url)
    monkeypatch.setenv("PAINTER_SENTINEL_MASTER", "another")
    settings.cache_clear()
    with open_client(watched.url) as client, pytest.raises(redis.ConnectionError):
        client.ping()
