"""What the pipeline adds to one live frame: from its offer to the viewer's wake-up, less decoding, painting, encoding.

One frame in flight, at irregular moments, so that no timer beats in time with it.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.harness import Harness, Plan, harness, percentiles, picture
from pipeline.protocol.frame import Look
from pipeline.protocol.wire import Limits
from producer.page_streams import PageStreams
from viewer.broadcast import Broadcast, Shot

_LIMITS = Limits(1 << 24, 1 << 24)
_STYLE = "test-bytes"
_PAUSE_S = (0.015, 0.045)
_LOST_S = 2.0
_WARM_UP = 20


@dataclass(frozen=True, slots=True)
class Trip:
    """One frame's way in ms: all that was added, and of it before, in and behind the worker (to the ms)."""

    added_ms: float
    to_claim_ms: float
    worker_ms: float
    to_viewer_ms: float


def measure(plan: Plan) -> dict[str, object]:
    """Return percentiles of what is added, and where it arises on average."""
    trips = 100 if plan.quick else 600
    plan.say(f"{trips} frames, one at a time")
    with harness(_STYLE, 1, events=True) as on, _watched(on, _STYLE) as send:
        found = [trip for number in range(trips + _WARM_UP) if (trip := send(number)) and number >= _WARM_UP]
    return {
        "frames": len(found),
        "lost": trips - len(found),
        "added_ms": percentiles([trip.added_ms for trip in found]),
        "mean_ms": {
            "offer to claim": _mean([trip.to_claim_ms for trip in found]),
            "claim to publish": _mean([trip.worker_ms for trip in found]),
            "publish to viewer": _mean([trip.to_viewer_ms for trip in found]),
        },
    }


@contextmanager
def _watched(on: Harness, style: str) -> Iterator[Callable[[int], Trip | None]]:
    """Yield a call that sends a frame and waits for its painting; None: it was lost."""
    reader = Broadcast(on.broker.transport, limits=_LIMITS)
    reader.start()
    session = PageStreams(on.broker.transport, on.broker.pack, _LIMITS).open("bench", [style], Look())
    arrived, arrived_unix = threading.Event(), [0.0]

    def wake() -> None:
        arrived_unix[0] = time.time()
        arrived.set()

    watch = reader.watch("bench", wake)
    jpeg, dice = picture(), random.Random(1)

    def send(number: int) -> Trip | None:
        time.sleep(dice.uniform(*_PAUSE_S))
        arrived.clear()
        offered_unix = time.time()
        session.offer(jpeg, number)
        if not arrived.wait(_LOST_S) or (shot := watch.take()) is None:
            return None
        return _trip(shot, offered_unix * 1000, arrived_unix[0] * 1000)

    try:
        yield send
    finally:
        session.close()
        reader.stop()


def _trip(shot: Shot, offered_ms: float, arrived_ms: float) -> Trip:
    # One machine: the server's clock is ours, cut off to the ms, half a one on average.
    stages = shot.stages
    painting_ms = stages.decode_ms + stages.paint_ms + stages.encode_ms
    return Trip(
        arrived_ms - offered_ms - painting_ms,
        stages.claimed_ms + 0.5 - offered_ms,
        shot.published_ms - stages.claimed_ms - painting_ms,
        arrived_ms - shot.published_ms - 0.5,
    )


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 2)
