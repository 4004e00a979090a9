"""Which frames of a file have to be sent again and why, and which of a live stream are given up.

Pure: one look at the server in, decisions out. Every deadline compares the server's time with the server's time.
Sending a frame that was not lost after all is harmless: its second painting is dropped at publish.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pipeline.protocol.records import DropReason

# A frame still unclaimed this long after a later one was claimed has lost its ticket.
OVERTAKEN_MS = 1000
# With nothing queued for this long, an unclaimed frame has lost its ticket.
QUEUE_EMPTY_MS = 5000
# A frame neither in flight nor arrived for this long was published and trimmed unread, or never reached the server.
ABSENT_MS = 3000
# The score of a frame that its worker handed back: a lease that ran out long ago.
HANDED_BACK = 1.0
# A live frame nobody claimed within this time is too old to be worth painting.
LIVE_WAIT_MS = 2000


# No true stamp lies further ahead of the server's clock: of a frame sent, and of a lease (60 s at most).
AHEAD_MS = 1000
LEASE_AHEAD_MS = 61_000


class Cause(StrEnum):
    """Why a frame is sent again. Only `LEASE` counts as a failure of the frame."""

    LEASE = "lease"
    OVERTAKEN = "overtaken"
    TICKET_LOST = "ticket lost"
    ABSENT = "absent"
    CLOCK = "the server's clock was set back"


@dataclass(frozen=True, slots=True)
class Resend:
    """Send `seq` again, provided its in-flight score is still `score` (None: whatever the server knows of it)."""

    seq: int
    cause: Cause
    score: float | None


@dataclass(frozen=True, slots=True)
class Overdue:
    """Give `seq` up, provided its in-flight score is still `score`. `reason` is for whoever reads the tombstone."""

    seq: int
    score: float
    loss: DropReason
    reason: str


@dataclass(frozen=True, slots=True)
class LastClaim:
    """The furthest frame of the stream known to have been claimed, and when (server ms)."""

    seq: int = -1
    at_ms: int = 0


def due(
    scores: Mapping[int, float],
    now_ms: int,
    last_claim: LastClaim,
    *,
    queue_empty_ms: int,
    absent_ms: Mapping[int, int],
) -> Iterator[Resend]:
    """Yield what to send again.

    `scores`: in-flight entries, -sent while unclaimed, else the lease's deadline (server ms).
    `queue_empty_ms`: for how long the style's queue has been seen empty. `absent_ms`: for how long frames that did not
    arrive have been seen missing from `scores`.
    """
    yield from (Resend(seq, Cause.ABSENT, None) for seq, ms in sorted(absent_ms.items()) if ms > ABSENT_MS)
    for seq, score in sorted(scores.items()):
        if score > 0:
            if score < now_ms:
                yield Resend(seq, Cause.LEASE, score)
            elif score > now_ms + LEASE_AHEAD_MS:
                yield Resend(seq, Cause.CLOCK, score)
            continue
        sent_ms = -score
        if sent_ms > now_ms + AHEAD_MS:
            yield Resend(seq, Cause.CLOCK, score)
            continue
        overtaken = seq < last_claim.seq and sent_ms < last_claim.at_ms < now_ms - OVERTAKEN_MS
        if overtaken:
            yield Resend(seq, Cause.OVERTAKEN, score)
        elif queue_empty_ms > QUEUE_EMPTY_MS and now_ms - sent_ms > QUEUE_EMPTY_MS:
            yield Resend(seq, Cause.TICKET_LOST, score)


def overdue(scores: Mapping[int, float], now_ms: int) -> Iterator[Overdue]:
    """Yield the live frames to give up: a live frame is never sent again."""
    for seq, score in sorted(scores.items()):
        if 0 < score < now_ms or score > now_ms + LEASE_AHEAD_MS:
            yield Overdue(seq, score, DropReason.WORKER, "its worker died or gave it back")
        elif score <= 0 and not -AHEAD_MS <= now_ms + score <= LIVE_WAIT_MS:
            yield Overdue(seq, score, DropReason.TIMEOUT, "no worker took it in time")
