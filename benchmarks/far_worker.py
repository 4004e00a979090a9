"""What a worker far from the server does to a file: frames a second with near workers alone, and with a far one beside.

    python -m benchmarks.far_worker [--style test-sleep-60] [--near 2] [--round-trip-ms 20 100 200] [--seconds 10]

The far one is behind `benchmarks/latency_proxy.py`. Small pictures and a painter that sleeps: it is the window that is
measured, which must not wait for the frame that the far worker holds.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.latency_proxy import relay, unix
from benchmarks.sharing import filing
from pipeline.process.config import settings
from pipeline.process.spawn import painter, spawn
from pipeline.server.broker import Broker, open_broker

# Beats tell the workers' numbers every two seconds, and a job asks every two: by then it knows them.
_SETTLE_S = 6.0
_READY_S = 60.0


@contextmanager
def worker(broker: Broker, url: str, style: str, name: str) -> Iterator[None]:
    """Run one worker that knows the server by `url`, and wait for it."""
    argv = painter(*"celery worker -P threads -c 1 --loglevel WARNING".split())
    with (Path(tempfile.gettempdir()) / f"far-worker-{name}.log").open("wb") as log:
        env = {**os.environ, "BROKER_URL": url}
        process = spawn([*argv, "-Q", f"style.{style}", "-n", f"{style}@{name}.here"], env=env, stdout=log, stderr=log)
    try:
        deadline_s = time.monotonic() + _READY_S
        while not any(f"@{name}." in beat.name for beat in broker.transport.workers()):
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"no worker {name} after {_READY_S:.0f} s")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(20)


def rates(broker: Broker, style: str, seconds: float) -> tuple[float, float]:
    """Paint an endless file; return its frames a second, and those the far worker had of them."""
    with filing(broker, style) as at_s:
        time.sleep(_SETTLE_S)
        before, far_before, began_s = len(at_s), _far(broker), time.monotonic()
        time.sleep(seconds)
        took_s = time.monotonic() - began_s
        return (len(at_s) - before) / took_s, (_far(broker) - far_before) / took_s


def _far(broker: Broker) -> int:
    return sum(beat.painted for beat in broker.transport.workers() if "@far." in beat.name)


def measure(style: str, near: int, round_trips_ms: Sequence[float], seconds: float) -> None:
    """Print the table, a row for each distance."""
    print("| | file FPS | of them the far one's |\n| --- | --- | --- |")  # noqa: T201
    with open_broker() as broker, ExitStack() as stack:
        for number in range(near):
            stack.enter_context(worker(broker, broker.url, style, f"near{number}"))
        fps, _ = rates(broker, style, seconds)
        print(f"| {near} near | {fps:.1f} | |", flush=True)  # noqa: T201
        for round_trip_ms in round_trips_ms:
            path = urlsplit(broker.url).path
            with (
                relay(unix(path), round_trip_ms / 1000) as port,
                worker(broker, f"redis://127.0.0.1:{port}/0", style, "far"),
            ):
                fps, far = rates(broker, style, seconds)
            print(f"| and one {round_trip_ms:g} ms away | {fps:.1f} | {far:.1f} |", flush=True)  # noqa: T201


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--style", default="test-sleep-60")
    parser.add_argument("--near", type=int, default=2)
    parser.add_argument("--round-trip-ms", type=float, nargs="+", default=[20.0, 100.0, 200.0])
    parser.add_argument("--seconds", type=float, default=10.0)
    chosen = parser.parse_args()
    # Spawned workers inherit it.
    os.environ["PAINTER_TEST_STYLES"] = "1"
    settings.cache_clear()
    measure(chosen.style, chosen.near, chosen.round_trip_ms, chosen.seconds)


if __name__ == "__main__":
    main()
