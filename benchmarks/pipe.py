"""The pipe alone: 60 KB pictures through a painter that hands them back undecoded, beside bare redis-py and REST.

Task events are on, as under Flower. All on this machine; what is "20 ms away" lies behind `relay.py`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis

from benchmarks.desk import Run
from benchmarks.ground import PICTURE_BYTES, Ground, cpu_s, ground, picture, root, spread
from benchmarks.relay import Target, relay, tcp, unix
from benchmarks.rest import frames_per_s
from pipeline.spawn import spawn
from viewer.tls import self_signed, server_context

_FAR_S = 0.020
_STYLE = "test-bytes"
_MIN_FRAMES_FAR = 200


def measure(quick: bool) -> dict[str, object]:
    """Return rates and CPU time a frame by process, then the same rates over TLS and over a line of 20 ms."""
    rounds, frames, seconds = (1, 500, 1.0) if quick else (3, 1500, 1.5)
    through = {f"{workers} worker{'s' * (workers > 1)}": _local(workers, rounds, frames) for workers in (1, 2)}
    with tempfile.TemporaryDirectory() as folder, _Rest.pair(Path(folder)) as rest:
        return {
            "picture_bytes": PICTURE_BYTES,
            "through the pipe": through,
            "bare redis-py": _bare(rounds, frames),
            "REST here": {name: _asked(rest, name, 0.0, rounds, seconds) for name in _WAYS},
            "20 ms away": {
                "pipe, TLS": _far(rest, rounds, frames // 4),
                **{f"REST {name}": _asked(rest, name, _FAR_S, rounds, seconds) for name in _WAYS},
            },
        }


def desk(broker_url: str, frames: int, style: str, rounds: int, **env: str) -> list[Run]:
    """Push frames through in a process of its own, some to warm up and then `rounds` times."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.desk", str(frames), style, str(rounds)],
        env={**os.environ, **env, "BROKER_URL": broker_url},
        cwd=root(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return [Run(**run) for run in json.loads(done.stdout)]


def costs(on: Ground, frames: int, style: str, rounds: int = 1) -> tuple[list[float], dict[str, float]]:
    """Push frames through; return frames a second of each round, and CPU ms a frame by process over all of them."""
    before = {name: cpu_s(pid) for name, pid in on.pids.items()}
    runs = desk(on.broker.url, frames, style, rounds)
    count = sum(run.frames for run in runs)
    used = {name: round((cpu_s(pid) - before[name]) * 1000 / count, 2) for name, pid in on.pids.items()}
    at_desk = round(sum(run.cpu_ms * run.frames for run in runs) / count, 2)
    return [run.fps for run in runs[1:]], {"desk": at_desk, **used}


def _local(workers: int, rounds: int, frames: int) -> dict[str, object]:
    with ground(_STYLE, workers, events=True) as on:
        rates, cpu = costs(on, frames, _STYLE, rounds)
    return {"fps": spread(rates, 0), "cpu_ms_per_frame": {**cpu, "sum": round(sum(cpu.values()), 2)}}


def _bare(rounds: int, frames: int) -> dict[str, object]:
    """One client: push a picture to a list, pop it, add it to a stream, read it from there."""
    jpeg, rates = picture(), []
    with ground(_STYLE, 1) as on:
        # redis-py types its answers as unions over every option of a client.
        client: Any = redis.Redis(unix_socket_path=urlsplit(on.broker.url).path)
        for _ in range(rounds):
            client.delete("bench-stream")
            began_s, cursor = time.monotonic(), b"0-0"
            for _ in range(frames):
                client.lpush("bench-list", jpeg)
                _, found = client.brpop("bench-list")
                client.xadd("bench-stream", {"frame": found}, maxlen=6, approximate=False)
                ((_, ((cursor, _),)),) = client.xread({"bench-stream": cursor})
            rates.append(frames / (time.monotonic() - began_s))
        client.close()
    return {"fps": spread(rates, 0)}


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


def _asked(rest: _Rest, way: str, away_s: float, rounds: int, seconds: float) -> dict[str, object]:
    tls, keep = _WAYS[way]
    ask = partial(frames_per_s, jpeg=picture(), seconds=seconds, trusted=rest.certificate if tls else None, keep=keep)
    if not away_s:
        return {"fps": spread([ask(rest.ports[tls]) for _ in range(rounds)], 1)}
    with relay(tcp(rest.ports[tls]), away_s) as port:
        return {"fps": spread([ask(port) for _ in range(rounds)], 1)}


def _far(rest: _Rest, rounds: int, frames: int) -> dict[str, object]:
    """The desk is far away and speaks TLS; workers and server stand together."""
    frames = max(_MIN_FRAMES_FAR, frames)
    with ground(_STYLE, 1, events=True) as on:
        target: Target = unix(urlsplit(on.broker.url).path)
        with relay(target, _FAR_S, server_context(rest.certificate, rest.key)) as port:
            url, trust = f"rediss://localhost:{port}/0", {"PAINTER_TLS_CA": str(rest.certificate)}
            runs = desk(url, frames, _STYLE, rounds, **trust)
    return {"fps": spread([run.fps for run in runs[1:]], 1)}
