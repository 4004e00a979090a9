"""`painter status` as it is typed: the screen, the JSON, Prometheus' port, and what it says where nothing runs."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from signal import SIGINT

import pytest

from pipeline.flow.resend import Overdue
from pipeline.flow.window import LiveWindow
from pipeline.process.spawn import spawn
from pipeline.protocol.records import DropReason, Heartbeat
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from tests.fleet.places import FRAME, free_port
from tests.tickets import ANY
from tests.waiting import WaitUntil

ROOT = Path(__file__).parents[2]
WORKER = Heartbeat(
    "wave@cpu0.desk", "wave", "cpu", 1, fps=5.0, painted=70, rss_bytes=250_000_000, host="desk", busy=0.5,
    paint_s=4.5, paint_counts="0,0,0,0,0,60,10,0,0,0,0,0,0", device_bytes=7_000_000_000,
)  # fmt: skip


def painter(*words: str, broker: str = "", columns: int = 140) -> "subprocess.CompletedProcess[str]":
    """Run one command on a terminal so wide."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "BROKER_URL": broker, "COLUMNS": str(columns)}
    argv = [sys.executable, "-m", "cli", *words]
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def fleet(server: EmbeddedServer, transport: Transport) -> EmbeddedServer:
    """A server with a worker, a live stream and a ticket that waits."""
    transport.send_heartbeat(WORKER)
    # As if both gave signs of life for a minute: on a busy machine a command takes longer to start than one counts.
    transport._redis.persist(f"worker:{WORKER.name}")
    transport._redis.zadd("workers", {WORKER.name: transport.now_ms() + 60_000})
    transport.open_stream("desk", {"maxlen": 4, "style": "wave", "mode": "live", "width": 640, "height": 480})
    transport.submit_live("desk", FRAME, ANY, window=LiveWindow("wave", 1), drops={DropReason.CAPACITY: 2})
    transport._redis.zadd("streams", {"desk": transport.now_ms() + 60_000})
    return server


def test_the_screen_names_hosts_slots_styles_and_streams(fleet: EmbeddedServer) -> None:
    done = painter("status", broker=fleet.url)
    assert done.returncode == 0, done.stderr
    wanted = ["desk", "cpu0", "wave", "5.0", "50%", "238 MiB", "70", "640×480", "workers 1   hosts 1", "starry"]
    wanted.append("desk: dropped for capacity 2")
    assert [word for word in wanted if word not in done.stdout] == []


@pytest.mark.parametrize("columns", [80, 60])
def test_no_line_of_the_screen_breaks_in_two(fleet: EmbeddedServer, columns: int) -> None:
    lines = painter("status", broker=fleet.url, columns=columns).stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert lines[0] == (fleet.url if len(fleet.url) <= columns else f"{fleet.url[: columns - 1]}…")
    assert re.fullmatch(r"workers \d   hosts \d   [\d.]+ FPS   memory \d+ MiB of \d+ MiB", lines[1])
    assert lines[2].startswith("style ")


def test_at_80_columns_every_heading_and_number_is_whole(fleet: EmbeddedServer, transport: Transport) -> None:
    name = "a-camera-with-a-rather-long-name"
    transport.open_stream(name, {"maxlen": 4, "style": "summertime", "mode": "live", "width": 1920, "height": 1080})
    told = painter("status", broker=fleet.url, columns=80).stdout
    streams = told[told.index("stream ") :].splitlines()
    assert streams[0].split() == "stream mode style size FPS delay painted dropped failed in flight".split()
    assert len(streams) == 4
    assert streams[3] == "desk: dropped for capacity 2"
    assert "…" not in re.sub(r"^\S+ +\S+ +\S+", "", streams[1])
    workers = told[told.index("host ") :].splitlines()
    assert workers[0].split() == "host slot device style FPS busy memory painted".split()


def test_json_is_one_object_with_the_same_numbers(fleet: EmbeddedServer) -> None:
    done = painter("status", "--json", broker=fleet.url)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["workers"][0]["slot"] == "cpu0"
    (stream,) = told["streams"]
    assert (stream["name"], stream["captured"], stream["dropped"], stream["in_flight"]) == ("desk", 3, 2, 1)
    assert (stream["drops"], stream["failures"]) == ({"capacity": 2}, {})
    wave = next(line for line in told["styles"] if line["style"] == "wave")
    assert (wave["workers"], wave["wanted"]) == (1, 1)


def test_watching_goes_on_until_ctrl_c(fleet: EmbeddedServer) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "BROKER_URL": fleet.url}
    argv = [sys.executable, "-m", "cli", "status", "--watch", "--json"]
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(SIGINT)
        assert process.wait(20) == 130
    assert [line["workers"][0]["name"] for line in lines] == [WORKER.name] * 2


def test_prometheus_gets_the_numbers_until_ctrl_c(
    fleet: EmbeddedServer, transport: Transport, wait_until: WaitUntil
) -> None:
    port = free_port()
    (score,) = transport.in_flight("desk", "q").scores.values()
    assert transport.give_up("wave", "desk", Overdue(0, score, DropReason.TIMEOUT, "no worker took it in time"))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "BROKER_URL": fleet.url}
    process = spawn([sys.executable, "-m", "cli", "status", "--metrics", str(port)], env=env)
    try:
        wait_until(lambda: 'painter_wanted_workers{style="wave"} 1.0' in _get(port), 30, "wanted workers")
        told = _get(port)
        assert 'painter_queue_length{mode="live",style="wave"} 0.0' in told
        assert 'painter_workers{style="wave"} 1.0' in told
        assert 'painter_stream_frames_total{fate="dropped",mode="live",stream="desk",style="wave"} 2.0' in told
        assert 'painter_stream_drops_total{cause="capacity",mode="live",stream="desk",style="wave"} 2.0' in told
        assert 'painter_stream_failures_total{cause="timeout",mode="live",stream="desk",style="wave"} 1.0' in told
        who = 'device="cpu",host="desk",'
        assert f'painter_frames_total{{{who}style="wave",worker="wave@cpu0.desk"}} 70.0' in told
        paint = f'painter_paint_seconds_bucket{{{who}le="%s",style="wave",worker="wave@cpu0.desk"}} %s'
        assert all(
            paint % pair in told for pair in (("0.04", "0.0"), ("0.08", "60.0"), ("0.16", "70.0"), ("+Inf", "70.0"))
        )
        assert f'painter_paint_seconds_sum{{{who}style="wave",worker="wave@cpu0.desk"}} 4.5' in told
        assert 'painter_device_memory_bytes{device="cpu",host="desk"} 7e+09' in told
        fleet.stop()
        wait_until(lambda: "painter_up 0.0" in _get(port), 10, "the lost server")
        process.send_signal(SIGINT)
        assert process.wait(20) == 130
    finally:
        process.kill()
        process.wait(20)


def test_without_a_server_it_says_so_and_starts_none(tmp_path: Path) -> None:
    done = painter("status")
    assert done.returncode == 2
    assert "painter up" in done.stderr
    assert not list(tmp_path.rglob("*.sock"))


def _get(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return ""
