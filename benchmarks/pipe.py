"""The pipe alone: 60 KB pictures through a painter that hands them back undecoded, beside bare redis-py and REST.

Task events are on, as under Flower. All on this machine; what is "20 ms away" lies behind `relay.py`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import redis

from benchmarks.harness import PICTURE_BYTES, Harness, Plan, cpu_s, harness, picture, root, spread, turns
from benchmarks.latency_proxy import Target, relay, tcp, unix
from benchmarks.rest import frames_per_s
from benchmarks.throughput import Run
from pipeline.process.spawn import spawn
from pipeline.server.broker import open_broker
from viewer.tls import self_signed, server_context

_FAR_S = 0.020
_STYLE = "test-bytes"
_MIN_FRAMES_FAR = 200
_WORKERS = {"1 worker": 1, "2 workers": 2}


@dataclass(frozen=True, slots=True)
class Cost:
    """What frames through the pipe cost. `rates`: frames a second of each round; `cpu_ms`: a frame, by process."""

    rates: list[float]
    cpu_ms: dict[str, float]
    desk_mib: float


def measure(plan: Plan) -> dict[str, object]:
    """Return rates and CPU time a frame by process, then the same rates over TLS and over a line of 20 ms."""
    rounds, frames, seconds = (1, 500, 1.0) if plan.quick else (3, 1500, 1.5)
    through = turns(plan, {name: partial(_local, count, frames) for name, count in _WORKERS.items()}, rounds)
    bare = turns(plan, {"bare redis-py": partial(_bare, frames)}, rounds)
    with tempfile.TemporaryDirectory() as folder, _Rest.pair(Path(folder)) as rest:
        here = turns(plan, {name: partial(_asked, rest, name, 0.0, seconds) for name in _WAYS}, rounds)
        pipe = {"pipe, TLS": partial(_far, rest, frames // 4)}
        ways = {f"REST {name}": partial(_asked, rest, name, _FAR_S, seconds) for name in _WAYS}
        far = turns(plan, {**pipe, **ways}, rounds)
    return {
        "picture_bytes": PICTURE_BYTES,
        "through the pipe": {way: _costs(each) for way, each in through.items()},
        "bare redis-py": _fps(bare["bare redis-py"], 0),
        "REST here": {way: _fps(rates) for way, rates in here.items()},
        "20 ms away": {way: _fps(rates) for way, rates in far.items()},
    }


def desk(broker_url: str, frames: int, style: str, rounds: int, **env: str) -> list[Run]:
    """Push frames through in a process of its own, some to warm up and then `rounds` times."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.throughput", str(frames), style, str(rounds)],
        env={**os.environ, **env, "BROKER_URL": broker_url},
        cwd=root(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return [Run(**run) for run in json.loads(done.stdout)]


def cost(on: Harness, frames: int, style: str, rounds: int = 1) -> Cost:
    """Push frames through; CPU time is that of all rounds and the warm-up before them."""
    before = {name: cpu_s(pid) for name, pid in on.pids.items()}
    runs = desk(on.broker.url, frames, style, rounds)
    count = sum(run.frames for run in runs)
    used = {name: round((cpu_s(pid) - before[name]) * 1000 / count, 2) for name, pid in on.pids.items()}
    at_desk = round(sum(run.cpu_ms * run.frames for run in runs) / count, 2)
    return Cost([run.fps for run in runs[1:]], {"desk": at_desk, **used}, runs[-1].rss_mib)


def _local(workers: int, frames: int) -> Cost:
    with harness(_STYLE, workers, events=True) as on:
        return cost(on, frames, _STYLE)


def _costs(each: Sequence[Cost]) -> dict[str, object]:
    cpu_ms = {name: round(median(one.cpu_ms[name] for one in each), 2) for name in each[0].cpu_ms}
    rates = [rate for one in each for rate in one.rates]
    return {**_fps(rates, 0), "cpu_ms_per_frame": {**cpu_ms, "sum": round(sum(cpu_ms.values()), 2)}}


def _fps(rates: Sequence[float], digits: int = 1) -> dict[str, object]:
    return {"fps": spread(rates, digits)}


def _bare(frames: int) -> float:
    """One client: push a picture to a list, pop it, add it to a stream, read it from there."""
    jpeg, cursor = picture(), b"0-0"
    with open_broker() as broker:
        # redis-py types its answers as unions over every option of a client.
        client: Any = redis.Redis(unix_socket_path=urlsplit(broker.url).path)
        began_s = time.monotonic()
        for _ in range(frames):
            client.lpush("bench-list", jpeg)
            _, found = client.brpop("bench-list")
            client.xadd("bench-stream", {"frame": found}, maxlen=6, approximate=False)
            ((_, ((cursor, _),)),) = client.xread({"bench-stream": cursor})
        taken_s = time.monotonic() - began_s
        client.close()
    return frames / taken_s


#: Name → whether TLS, whether one connection for all frames.
_WAYS = {
    "keep-alive": (False, True),
    "a connection a frame": (False, False),
    "keep-alive, TLS": (True, True),
    "a connection a frame, TLS": (True, False),
}


class _Rest:
    """Two servers of `rest.py`, one of them with TLS, and the certificate to trust."""

    def __init__(self, ports: Mapping[bool, int], certificate: Path, key: Path) -> None:
        self.ports, self.certificate, self.key = ports, certificate, key

    @classmethod
    @contextmanager
    def pair(cls, folder: Path) -> Iterator["_Rest"]:
        certificate, key = self_signed(folder, ["localhost", "127.0.0.1"])
        argv = [sys.executable, "-m", "benchmarks.rest"]
        env = {**os.environ, "PYTHONPATH": str(root())}
        plain, secure = (
            spawn([*argv, *map(str, words)], env=env, stdout=subprocess.PIPE)
            for words in (("-", "-"), (certificate, key))
        )
        try:
            yield cls({tls: _port(process) for tls, process in ((False, plain), (True, secure))}, certificate, key)
        finally:
            for process in (plain, secure):
                process.terminate()
                process.communicate()


def _port(process: "subprocess.Popen[bytes]") -> int:
    assert process.stdout is not None, "it was asked for"
    return int(process.stdout.readline())


def _asked(rest: _Rest, way: str, away_s: float, seconds: float) -> float:
    tls, keep = _WAYS[way]
    ask = partial(frames_per_s, jpeg=picture(), seconds=seconds, trusted=rest.certificate if tls else None, keep=keep)
    if not away_s:
        return ask(rest.ports[tls])
    with relay(tcp(rest.ports[tls]), away_s) as port:
        return ask(port)


def _far(rest: _Rest, frames: int) -> float:
    """The desk is far away and speaks TLS; workers and server stand together."""
    frames = max(_MIN_FRAMES_FAR, frames)
    with harness(_STYLE, 1, events=True) as on:
        target: Target = unix(urlsplit(on.broker.url).path)
        with relay(target, _FAR_S, server_context(rest.certificate, rest.key)) as port:
            url, trust = f"rediss://localhost:{port}/0", {"PAINTER_TLS_CA": str(rest.certificate)}
            return desk(url, frames, _STYLE, 1, **trust)[-1].fps
