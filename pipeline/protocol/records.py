"""What the server tells, as values, and how its replies are read. Pure; `transport.py` does the asking."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from pipeline.protocol.frame import Look


@dataclass(frozen=True, slots=True)
class Claim:
    """A frame handed to a worker: its document, and when it was sent and claimed (server ms)."""

    document: bytes
    sent_ms: int
    claimed_ms: int


@dataclass(frozen=True, slots=True)
class InFlight:
    """A stream's state as its producer sees it, in one look."""

    now_ms: int
    run_id: str
    exists: bool
    queue_length: int
    scores: Mapping[int, float]
    #: seq → worker → why it failed to paint that frame.
    failures: Mapping[int, Mapping[str, str]] = field(default_factory=dict)


class SubmitOutcome(StrEnum):
    """What became of a live frame, in the server's spelling."""

    UNKNOWN = "unknown"  # the server does not know the stream: open it again
    WAIT = "wait"
    SENT = "sent"
    HAD = "had"  # a frame of this number is in flight already, or was


class DropReason(StrEnum):
    """Why a live frame was dropped (what it waited for when a newer one came, or what it met), or failed after that."""

    CAPACITY = "capacity"  # all places of the style were taken
    NO_WORKER = "no_worker"
    SERVER = "server"  # away, full, or its answer was lost
    FAULT = "fault"  # it could not be encoded, or not be painted
    TIMEOUT = "timeout"  # no worker took it in time
    WORKER = "worker"  # its worker died, or gave it back


@dataclass(frozen=True, slots=True)
class SubmitResult:
    """The answer to a live frame. `is_free`: the stream's next frame would find a place now.

    `seq`: the newest ever put in flight, -1 before the first. `style` and `look` are wished for the next frame.
    """

    fate: SubmitOutcome
    is_free: bool
    seq: int
    style: str
    look: Look


@dataclass(frozen=True, slots=True)
class PaintedEntry:
    """One entry of a painted stream. `kind`: painted (with frame and stages) or failed (with reason)."""

    entry_id: bytes
    kind: str
    seq: int
    published_ms: int
    frame: bytes = b""
    stages: bytes = b""
    reason: str = ""
    source: bytes = b""


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """A stream as viewers see it. Always: captured = dropped + painted + failed + in_flight."""

    name: str
    mode: str
    style: str
    look: Look
    width: int
    height: int
    captured: int
    dropped: int
    painted: int
    failed: int
    in_flight: int
    age_s: float
    # Of a file: how many frames it has, 0 where its source does not say.
    frames: int = 0
    # `dropped` and `failed` by cause.
    drops: Mapping[DropReason, int] = field(default_factory=dict)
    failures: Mapping[DropReason, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A worker's sign of life. `fps` over its last seconds; `rss_bytes` its resident memory.

    `busy` is the share (0–1) of those seconds in which it decoded, painted or encoded, over all its threads. One that
    stays out of its queues serves no `style`: it is `away_from` one, and `note` says why.
    """

    name: str
    style: str
    device: str
    threads: int
    fps: float = 0.0
    painted: int = 0
    rss_bytes: int = 0
    pid: int = 0
    host: str = ""
    busy: float = 0.0
    note: str = ""
    away_from: str = ""
    # Of all its paintings: seconds together, and how many took how long (`metrics.Histogram`).
    paint_s: float = 0.0
    paint_counts: str = ""
    # Of the whole device, 0 where it is the machine's own memory.
    device_bytes: int = 0
    # Up to which version it reads tickets; 0: a release that did not tell yet, and reads the first.
    wire_version: int = 0


def parse_heartbeat(found: Mapping[bytes, bytes]) -> Heartbeat:
    kinds: dict[str, Callable[[str], Any]] = {
        "threads": int,
        "fps": float,
        "painted": int,
        "rss_bytes": int,
        "pid": int,
        "busy": float,
        "paint_s": float,
        "device_bytes": int,
        "wire_version": int,
    }

    def read(name: str) -> Any:
        kind = kinds.get(name, str)
        return kind(found.get(name.encode(), b"" if kind is str else b"0").decode())

    return Heartbeat(**{f.name: read(f.name) for f in fields(Heartbeat)})


def parse_painted(entry_id: bytes, raw: Mapping[bytes, bytes]) -> PaintedEntry:
    return PaintedEntry(
        entry_id=entry_id,
        kind=raw.get(b"kind", b"").decode(),
        seq=int(raw.get(b"seq", b"-1")),
        published_ms=int(raw.get(b"published", b"0")),
        frame=raw.get(b"frame", b""),
        stages=raw.get(b"stages", b""),
        reason=raw.get(b"reason", b"").decode(errors="replace"),
        source=raw.get(b"source", b""),
    )


def parse_failures(found: Mapping[bytes, bytes]) -> dict[int, dict[str, str]]:
    """Read which workers failed which frames, and why. What no release of ours wrote is left out."""
    failures: dict[int, dict[str, str]] = {}
    for name, reason in found.items():
        seq, _, worker = name.decode(errors="replace").partition(" ")
        if seq.isdecimal() and worker:
            failures.setdefault(int(seq), {})[worker] = reason.decode(errors="replace")
    return failures


def mix_facts(look: Look) -> dict[str, str | float]:
    """Return what is mixed into a stream's style, as facts of it."""
    return {"mix": look.mix, "share": look.share}


def look_facts(look: Look) -> dict[str, str | float]:
    """Return a look as facts of a stream."""
    return {"strength": look.strength, "keep_colours": int(look.keep_colours), "brush": look.brush, **mix_facts(look)}


def parse_look(
    strength: bytes | None = None,
    keep_colours: bytes | None = None,
    brush: bytes | None = None,
    mix: bytes | None = None,
    share: bytes | None = None,
) -> Look:
    kept = keep_colours == b"1"
    return Look(float(strength or 1.0), kept, float(brush or 1.0), (mix or b"").decode(), float(share or 0.0))


def parse_submit_result(
    fate: bytes,
    is_free: int,
    seq: bytes | int,
    style: bytes | None = None,
    *look: bytes | None,
) -> SubmitResult:
    """Read the answer to a live frame. `look`: as `parse_look` takes it; without one the stream is not known."""
    return SubmitResult(
        SubmitOutcome(fate.decode()), bool(is_free), int(seq), (style or b"").decode(), parse_look(*look)
    )


def parse_stream(name: str, age_s: float, facts: Mapping[bytes, bytes], in_flight: int) -> StreamRecord:
    def count(key: bytes) -> int:
        return int(facts.get(key, b"0"))

    return StreamRecord(
        name=name,
        mode=facts.get(b"mode", b"").decode(),
        style=facts.get(b"style", b"").decode(),
        look=parse_look(*(facts.get(key) for key in (b"strength", b"keep_colours", b"brush", b"mix", b"share"))),
        width=count(b"width"),
        height=count(b"height"),
        captured=count(b"captured"),
        dropped=count(b"dropped"),
        painted=count(b"painted"),
        failed=count(b"failed"),
        in_flight=in_flight,
        age_s=age_s,
        frames=count(b"frames"),
        drops=parse_drops(facts.get(b"drops", b"").decode()),
        # Counted one by one, by whoever gives a frame up.
        failures={loss: found for loss in DropReason if (found := count(f"failed:{loss}".encode()))},
    )


def drops_fact(drops: Mapping[DropReason, int]) -> str:
    """Return the drops as the stream's hash holds them: `capacity=3 server=1`."""
    return " ".join(f"{cause}={count}" for cause, count in drops.items())


def parse_drops(text: str) -> dict[DropReason, int]:
    """Read `drops_fact`; causes that a later version may know are left out."""
    pairs = (pair.partition("=") for pair in text.split())
    return {DropReason(cause): int(count) for cause, _, count in pairs if cause in set(DropReason) and int(count)}


def number(score: float) -> str:
    """Return a score as scripts compare it."""
    return str(int(score)) if score == int(score) else repr(score)


@dataclass(frozen=True, slots=True)
class Rename:
    """A move under way: worker `old` counts no longer, worker `new` counts already."""

    old: str
    new: str
