"""One file's job between a real server and a painter that does as told: memory that runs short, a slow sink."""

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from jobs.paint_job import PaintJob
from jobs.report import Progress
from jobs.temporal import WARM_UP_FRAMES, TemporalSmoother
from pipeline.errors import SourceError, Stopped
from pipeline.flow import resend
from pipeline.process.config import Settings
from pipeline.protocol.frame import Codec, Frame, Landmark, Look, StreamInfo
from pipeline.protocol.records import Heartbeat
from pipeline.protocol.wire import Limits, Stages, unpack_frame
from pipeline.server.broker import Broker
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from tests.tickets import ANY, Tickets
from tests.waiting import WaitUntil

FRAMES = 60
LEASE_MS = 2000
#: Eight painters: a window of twenty frames.
PAINTERS = 8
_LIMITS = Limits(1 << 24, 1 << 24)


class Noise:
    """A source of pictures that do not compress: `side`² × 3 bytes each."""

    def __init__(self, side: int, codec: Codec = Codec.PNG) -> None:
        self.info = StreamInfo(side, side, Fraction(1, 25), frames=FRAMES, codec=codec)
        self._pixels = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)

    def frames(self, start: int = 0, landmark: Landmark | None = None) -> Iterator[Frame]:
        for seq in range(start, FRAMES):
            yield Frame(seq, seq, self._pixels)

    def close(self) -> None: ...


class Sheet:
    """A sink that takes `write_s` for a frame and remembers which it got, and the last one's pixels."""

    def __init__(self, write_s: float = 0.0, first: int = 0) -> None:
        self._first = first
        self.seqs: list[int] = []
        self.last: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._write_s = write_s

    def landmark(self) -> Landmark | None:
        """Nothing is sought here."""
        return None

    def next_seq(self) -> int:
        return self._first

    def write(self, frame: Frame) -> None:
        time.sleep(self._write_s)
        self.seqs.append(frame.seq)
        self.last = frame.pixels

    def stop(self) -> None: ...
    def finish(self) -> None: ...
    def take_notices(self) -> list[str]: ...
    def keep_partial(self) -> Path | None: ...
    def close(self) -> None: ...


class Painters:
    """Takes tickets as they come; `lose` names frames whose first claim is never followed up, as by a killed worker."""

    def __init__(self, server: EmbeddedServer, lose: set[int]) -> None:
        self._transport = Transport.connect(server.url)
        self._lose = lose
        self._queued = Tickets(self._transport)
        self.pack = self._queued.pack
        #: Of each frame its codec and its ticket's version.
        self.crossed: list[tuple[Codec, int]] = []
        self._stream = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._paint, daemon=True)

    def __enter__(self) -> "Painters":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def unread(self, transport: Transport) -> int:
        """Return how many paintings lie on the server."""
        return int(transport._redis.xlen(f"painted:{self._stream}"))

    def _paint(self) -> None:
        served = 0
        while not self._ended.is_set():
            if len(self._queued.taken) == served:
                self._ended.wait(0.001)
                continue
            _, ticket = self._queued.taken[served]
            served += 1
            claim = self._transport.claim(ticket.stream, ticket.seq, LEASE_MS)
            if claim is None:
                continue
            if ticket.seq in self._lose:
                self._lose.discard(ticket.seq)
                continue
            self._stream = ticket.stream
            self.crossed.append((unpack_frame(claim.document, _LIMITS).codec, ticket.version))
            self._transport.publish(ticket.stream, ticket.seq, claim.document, Stages(claimed_ms=claim.claimed_ms))


@pytest.fixture
def paint(server: EmbeddedServer, transport: Transport) -> Callable[..., tuple[PaintJob, Sheet, int]]:
    """`paint(side, write_s, lose)` paints sixty pictures; returns the job, its sink, and how many resends it took."""
    transport.send_heartbeat(Heartbeat("w", "wave", "cpu", PAINTERS))

    def run(side: int, write_s: float, lose: set[int]) -> tuple[PaintJob, Sheet, int]:
        sink = Sheet(write_s)
        with Painters(server, lose) as painters:
            broker = Broker(server.url, transport, painters.pack, None)
            settings = Settings(server_wait_s=10)
            job = PaintJob(Noise(side), sink, style="wave", look=Look(), broker=broker, settings=settings)
            _, seconds = job.run(lambda _: None)
        return job, sink, job.report("", "", seconds).resubmitted

    return run


def test_a_lost_worker_at_maxmemory_costs_no_frame(
    paint: Callable[..., tuple[PaintJob, Sheet, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Frames that were refused go behind later ones, and this painter may stand still for a second on a busy machine.
    monkeypatch.setattr(resend, "OVERTAKEN_MS", 60_000)
    # 64 MB hold some nine frames of 3.1 MB with their paintings; the window is twenty.
    _, sink, resubmitted = paint(1024, 0.0, {30})
    assert sink.seqs == list(range(FRAMES))
    assert resubmitted == 1


def test_a_slow_sink_makes_no_frame_be_painted_twice(
    paint: Callable[..., tuple[PaintJob, Sheet, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A window of twenty takes this sink a second; frames count as absent long before.
    monkeypatch.setattr(resend, "ABSENT_MS", 100)
    job, sink, resubmitted = paint(32, 0.05, set())
    assert sink.seqs == list(range(FRAMES))
    assert (resubmitted, job.report("", "", 1.0).duplicates) == (0, 0)


@pytest.mark.parametrize(
    ("side", "is_foreign", "reads", "crossed"),
    [
        pytest.param(32, False, 2, (Codec.RAW, 2), id="own server: as they are"),
        # Above 480 rows a frame is not painted at its own size: version 3.
        pytest.param(700, False, 2, (Codec.MJPEG, 3), id="a window of them takes too much of its 64 MB"),
        pytest.param(32, False, 0, (Codec.MJPEG, 1), id="an older worker there"),
        pytest.param(32, True, 2, (Codec.MJPEG, 1), id="another's server"),
    ],
)
def test_where_frames_cross_as_raw_pixels(
    server: EmbeddedServer,
    transport: Transport,
    side: int,
    is_foreign: bool,
    reads: int,
    crossed: tuple[Codec, int],
) -> None:
    source, sink = Noise(side, Codec.MJPEG), Sheet()
    for number, version in enumerate((2, reads)):
        transport.send_heartbeat(Heartbeat(f"w{number}", "wave", "cpu", 1, wire_version=version))
    with Painters(server, set()) as painters:
        broker = Broker(server.url, transport, painters.pack, None, is_foreign)
        PaintJob(source, sink, style="wave", look=Look(), broker=broker, settings=Settings()).run(lambda _: None)
    assert set(painters.crossed) == {crossed}
    sent = next(source.frames()).pixels
    assert np.array_equal(sink.last, sent) == (crossed[0] is Codec.RAW)


def test_a_job_on_the_machines_own_server_takes_from_it_what_it_has_read(
    server: EmbeddedServer, transport: Transport, wait_until: WaitUntil
) -> None:
    with Painters(server, set()) as painters:

        def pause(progress: Progress) -> None:
            if progress.done == FRAMES // 2:
                # Its window of six is all that may be unread; the stream has room for 28.
                wait_until(lambda: painters.unread(transport) <= 6, what="what was read to go")

        broker = Broker(server.url, transport, painters.pack, None)
        PaintJob(Noise(32), Sheet(), style="wave", look=Look(), broker=broker, settings=Settings()).run(pause)


@pytest.mark.parametrize(("first", "lead"), [(0, 0), (3, 3), (20, WARM_UP_FRAMES), (FRAMES, 0)])
def test_a_film_that_goes_on_is_held_together_with_what_was_written(
    server: EmbeddedServer, transport: Transport, first: int, lead: int
) -> None:
    sink = Sheet(first=first)
    with Painters(server, set()) as painters:
        broker = Broker(server.url, transport, painters.pack, None)
        job = PaintJob(
            Noise(64),
            sink,
            style="wave",
            look=Look(),
            broker=broker,
            settings=Settings(),
            smoother=TemporalSmoother(),
        )
        frames, seconds = job.run(lambda _: None)
    assert sink.seqs == list(range(first, FRAMES))
    assert len(painters.crossed) == FRAMES - first + lead
    if sink.seqs:
        assert np.array_equal(sink.last, _held(first - lead))
    report = job.report("", "", seconds)
    assert (frames, report.frames, report.resumed) == (FRAMES - first, FRAMES - first, first)


def _held(start: int) -> NDArray[np.uint8]:
    """Return the last frame as it comes from one that paints nothing, held together from `start` on."""
    smoother = TemporalSmoother()
    held = np.empty(0, np.uint8)
    for frame in Noise(64).frames(start):
        smoother.add(frame)
        held = smoother.smooth(frame.seq, frame.pixels)
    return held


def test_a_stopped_job_says_so(server: EmbeddedServer, transport: Transport) -> None:
    broker = Broker(server.url, transport, lambda style, ticket: ANY, None)
    job = PaintJob(Noise(32), Sheet(), style="wave", look=Look(), broker=broker, settings=Settings())
    threading.Timer(0.2, job.stop).start()
    with pytest.raises(Stopped):
        job.run(lambda _: None)
    assert transport.streams() == []


class Damaged(Noise):
    """A source of which some pictures could not be read."""

    def frames(self, start: int = 0, landmark: Landmark | None = None) -> Iterator[Frame]:
        yield from super().frames(start, landmark)
        raise SourceError("film.ts is damaged at 1.6 s: damaged data")


def test_a_damaged_source_is_painted_to_its_end_and_the_damage_is_kept(
    server: EmbeddedServer, transport: Transport
) -> None:
    transport.send_heartbeat(Heartbeat("w", "wave", "cpu", PAINTERS))
    sink = Sheet()
    with Painters(server, set()) as painters:
        broker = Broker(server.url, transport, painters.pack, None)
        job = PaintJob(Damaged(32), sink, style="wave", look=Look(), broker=broker, settings=Settings())
        done, _ = job.run(lambda _: None)
    assert (done, sink.seqs) == (FRAMES, list(range(FRAMES)))
    assert str(job.damage) == "film.ts is damaged at 1.6 s: damaged data"
