"""Live: rate and delay of one, two and four sessions on two workers, and of the painters as many as they can bear.

A session offers 640×480 pictures at its own rate and has one viewer. The painter sleeps 40 ms, as a card would, so two
workers bear 50 frames a second whatever else this machine does; the shipped style is measured beside it.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from benchmarks.background_load import background_load, beats
from benchmarks.harness import Harness, Plan, harness, percentiles, picture
from pipeline.protocol.frame import Look
from pipeline.protocol.wire import Limits
from producer.page_streams import PageStreams
from viewer.broadcast import Broadcast, Shot

_LIMITS = Limits(1 << 24, 1 << 24)
_WORKERS = 2
# The first second holds the compiling of the network; a feed learns its painters a second after its start.
_SETTLE_S = 2.0
_SLEEPING, _PAINTING = "test-sleep-40", "wave"
#: Style → how many sessions offer how many frames a second each.
_LOADS = {
    _SLEEPING: ((1, 10.0), (2, 10.0), (4, 10.0), (1, 100.0), (2, 60.0), (4, 50.0)),
    _PAINTING: ((1, 24.0), (4, 30.0)),
}


def measure(plan: Plan) -> dict[str, object]:
    """Return, for each load, every session's rate, and delay and fate of all their frames."""
    seconds = 3.0 if plan.quick else 10.0
    found: dict[str, object] = {}
    for style, loads in _LOADS.items():
        with harness(style, _WORKERS) as on:
            for sessions, fps in loads:
                name = _name(style, sessions, fps)
                plan.say(name)
                found[name] = load(on, style, sessions, fps, seconds)
    return found


def _name(style: str, sessions: int, fps: float) -> str:
    offered = f"{sessions} × {fps:.0f} FPS"
    if style != _SLEEPING:
        return f"{style}, {offered}"
    return f"40 ms, {offered}, {'under' if sessions * fps <= _WORKERS * 25 else 'over'} capacity"


def load(on: Harness, style: str, sessions: int, fps: float, seconds: float) -> dict[str, object]:
    """Have `sessions` offer pictures at `fps` each; return what their viewers saw after the first two seconds."""
    with ExitStack() as stack:
        reader = Broadcast(on.broker.transport, limits=_LIMITS)
        stack.callback(reader.stop)
        reader.start()
        seen = [stack.enter_context(_session(on, reader, style, f"bench{n}", fps)) for n in range(sessions)]
        time.sleep(seconds + _SETTLE_S)
        cards = on.broker.transport.streams()
        settled = time.monotonic() - seconds
        shots = [[(at_s, shot) for at_s, shot in list(one) if at_s > settled] for one in seen]
    delays = [at_s * 1000 - shot.frame.pts for one in shots for at_s, shot in one]
    return {
        "fps": [round(len(one) / seconds, 1) for one in shots],
        "delay_ms": percentiles(delays),
        "captured": sum(card.captured for card in cards),
        "dropped": sum(card.dropped for card in cards),
        "failed": sum(card.failed for card in cards),
    }


@contextmanager
def _session(on: Harness, reader: Broadcast, style: str, name: str, fps: float) -> Iterator[list[tuple[float, Shot]]]:
    """One camera and one viewer; yields what the viewer sees, as it comes."""
    session = PageStreams(on.broker.transport, on.broker.pack, _LIMITS).open(name, [style], Look())
    changed = threading.Event()
    watch = reader.watch(name, changed.set)
    seen: list[tuple[float, Shot]] = []
    jpeg = picture()

    def film(ended: threading.Event) -> None:
        for _ in beats(fps, ended):
            session.offer(jpeg, int(time.monotonic() * 1000))

    def look(ended: threading.Event) -> None:
        while not ended.is_set():
            changed.wait(0.1)
            changed.clear()
            if (shot := watch.take()) is not None:
                seen.append((time.monotonic(), shot))

    with closing(session), background_load(film, look):
        yield seen
