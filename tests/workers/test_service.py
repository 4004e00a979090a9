"""What becomes of a ticket: every way a frame can go, each on a server of the test's own making."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from pipeline.errors import PipelineError, ServerFull, ServerGone
from pipeline.protocol.codec import encode
from pipeline.protocol.frame import Codec, EncodedFrame, Frame, Look
from pipeline.protocol.records import Claim, Heartbeat
from pipeline.protocol.wire import Limits, Stages, Ticket, pack_frame, unpack_frame
from workers.fake_styles import load_standin
from workers.leases import Leases
from workers.painter import Painting
from workers.service import BEAT_S, Identity, Meter, PaintService

LIMITS = Limits(max_pixels=1 << 16, max_bytes=1 << 20)
WHO = Identity("wave@cpu0.host", "wave", "cpu", 1, "host")


def document(seq: int = 4, codec: Codec = Codec.PNG) -> bytes:
    pixels = np.random.default_rng(seq).integers(0, 256, (24, 32, 3), np.uint8)
    return pack_frame(encode(Frame(seq, 40 * seq, pixels, "a.png"), codec))


@dataclass
class FakeServer:
    """Hands out `claims` and notes what comes back. `trouble`: raised by the call of that name."""

    claims: dict[int, bytes] = field(default_factory=lambda: {4: document()})
    trouble: dict[str, PipelineError] = field(default_factory=dict)
    published: list[tuple[int, bytes, Stages]] = field(default_factory=list)
    released: list[tuple[int, str]] = field(default_factory=list)
    failed: list[tuple[int, str]] = field(default_factory=list)
    beats: list[Heartbeat] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    def _meet(self, call: str) -> None:
        if call in self.trouble:
            raise self.trouble[call]

    def claim(self, stream: str, seq: int, lease_ms: int) -> Claim | None:
        self._meet("claim")
        found = self.claims.pop(seq, None)
        return None if found is None else Claim(found, 1000, 1010)

    def is_unclaimed(self, stream: str, seq: int) -> bool:
        self._meet("is_unclaimed")
        return seq in self.claims

    def renew(self, stream: str, seq: int, lease_ms: int) -> bool:
        return True

    def publish(self, stream: str, seq: int, document: bytes, stages: Stages) -> bool:
        self._meet("publish")
        self.published.append((seq, document, stages))
        return True

    def release(self, stream: str, seq: int, worker: str, reason: str) -> None:
        self._meet("release")
        self.released.append((seq, reason))

    def fail(self, stream: str, seq: int, reason: str, style: str = "") -> bool:
        self._meet("fail")
        self.failed.append((seq, reason))
        return True

    def send_heartbeat(self, beat: Heartbeat) -> None:
        self._meet("beat")
        self.beats.append(beat)

    def forget_worker(self, name: str) -> None:
        self._meet("forget")
        self.forgotten.append(name)

    def keep_open(self, connections: int) -> None:
        """Nothing to open."""


class Undecodable:
    """A painter that must not be asked."""

    def paint(self, frame: EncodedFrame, ticket: Ticket, progress: Callable[[], None]) -> Painting:
        raise AssertionError("this frame was not to be painted")


@pytest.fixture
def server() -> FakeServer:  # type: ignore[override]
    return FakeServer()


def service(server: FakeServer, style: str = "test-identity") -> PaintService:
    painter = load_standin(style, jpeg_quality=95)
    leases = Leases(server, lease_s=1.5, renew_s=0.5, hang_s=20)
    return PaintService(server, painter, leases, WHO, limits=LIMITS)


def test_a_painted_frame_keeps_its_numbers_name_and_codec(server: FakeServer) -> None:
    service(server).handle(Ticket("clip", 4, 1).to_args())
    ((seq, painted, stages),) = server.published
    before, after = unpack_frame(document(), LIMITS), unpack_frame(painted, LIMITS)
    assert seq == 4
    assert replace(after, data=b"") == replace(before, data=b"")
    assert (stages.style, stages.worker, stages.sent_ms, stages.claimed_ms) == ("wave", WHO.name, 1000, 1010)
    assert min(stages.decode_ms, stages.paint_ms, stages.encode_ms) > 0


def test_a_ticket_without_a_claim_is_skipped(server: FakeServer) -> None:
    service(server).handle(Ticket("clip", 7, 1).to_args())
    assert (server.published, server.released, server.failed) == ([], [], [])


@pytest.mark.parametrize("style", ["test-bytes", "test-identity"], ids=["no painter", "strength 0"])
def test_bytes_that_need_no_painting_come_back_as_they_were(server: FakeServer, style: str) -> None:
    look = Look() if style == "test-bytes" else Look(strength=0.0)
    paint = service(server, style)
    paint.handle(Ticket("clip", 4, 1, look=look).to_args())
    assert [painted for _, painted, _ in server.published] == [document()]


def test_strength_zero_does_not_even_decode(server: FakeServer) -> None:
    leases = Leases(server, lease_s=1.5, renew_s=0.5, hang_s=20)
    paint = PaintService(server, Undecodable(), leases, WHO, limits=LIMITS)
    paint.handle(Ticket("clip", 4, 1, look=Look(strength=0.0)).to_args())
    assert len(server.published) == 1


@pytest.mark.parametrize(
    ("attempt", "live", "released", "failed"),
    [
        pytest.param(1, False, 1, 0, id="first attempt: again"),
        pytest.param(2, False, 1, 0, id="second attempt: again"),
        pytest.param(3, False, 1, 0, id="third attempt: again, its producer counts"),
        pytest.param(1, True, 0, 1, id="live: never again"),
    ],
)
def test_a_painting_that_raises_is_tried_again_as_often_as_allowed(
    server: FakeServer, attempt: int, live: bool, released: int, failed: int
) -> None:
    service(server, "test-raise-4").handle(Ticket("clip", 4, attempt, live=live).to_args())
    assert (len(server.released), len(server.failed), server.published) == (released, failed, [])
    assert (server.released + server.failed)[0] == (4, "RuntimeError: this test style fails here")


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        pytest.param(b"\xc1nonsense", "not a msgpack document", id="no document"),
        pytest.param(document()[:-20], "", id="cut short"),
        pytest.param(pack_frame(replace(unpack_frame(document(), LIMITS), width=33)), "document says", id="lies"),
        pytest.param(document().replace(b"IDAT", b"IDOT"), "does not decode", id="undecodable picture"),
    ],
)
def test_bytes_that_are_no_frame_are_failed_at_once_with_the_reason(
    server: FakeServer, broken: bytes, reason: str
) -> None:
    server.claims = {4: broken}
    service(server).handle(Ticket("clip", 4, 1).to_args())
    ((seq, said),) = server.failed
    assert seq == 4
    assert reason in said
    assert server.released == []


@pytest.mark.parametrize("args", [[], [0, "clip", 4, 1, False, 1.0, False], [1, "clip", "4", 1, False, 1.0, False]])
def test_a_ticket_that_is_none_is_refused_and_the_next_one_served(
    server: FakeServer, args: list[object], caplog: pytest.LogCaptureFixture
) -> None:
    paint = service(server)
    paint.handle(args)
    paint.handle(Ticket("clip", 4, 1).to_args())
    assert "ticket refused" in caplog.text
    assert len(server.published) == 1


LATER = [99, "clip", 4, "what only a later release knows"]


def test_a_mix_with_a_style_that_is_not_here_is_given_back_and_counts_no_attempt(server: FakeServer) -> None:
    paint = service(server)
    paint.refusal = lambda look: "no style 'starry'" if look.mix else ""
    args = Ticket("clip", 4, 1, look=Look(mix="starry", share=0.4), version=3).to_args()
    assert not paint.handle(args)
    assert (server.published, server.released, server.failed) == ([], [], [])
    assert [(beat.style, beat.note) for beat in server.beats[-1:]] == [("", "no style 'starry'")]
    paint.come_back()
    assert paint.handle(Ticket("clip", 4, 1).to_args())
    assert [beat.style for beat in server.beats[-1:]] == ["wave"]


def test_a_later_releases_ticket_is_given_back_and_nobody_counts_on_the_worker_until_it_comes_back(
    server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    paint = service(server)
    assert not paint.handle(LATER)
    assert not paint.handle(LATER)
    assert (server.published, server.released, server.failed) == ([], [], [])
    assert [(beat.style, beat.note) for beat in server.beats[-1:]] == [
        ("", "tickets of version 99, this worker reads up to 3")
    ]
    assert caplog.text.count("it leaves its queues to newer workers") == 1
    assert paint.handle(Ticket("clip", 4, 1).to_args()), "what it holds already is served"
    paint.come_back()
    assert (server.beats[-1].style, server.beats[-1].note) == ("wave", "")


@pytest.mark.parametrize("trouble", [{}, {"is_unclaimed": ServerGone("reset")}], ids=["nothing waits", "server gone"])
def test_a_later_releases_ticket_without_a_waiting_frame_is_refused_as_any_other(
    server: FakeServer, trouble: dict[str, PipelineError], caplog: pytest.LogCaptureFixture
) -> None:
    server.claims.clear()
    server.trouble = trouble
    assert service(server).handle(LATER)
    assert "ticket refused" in caplog.text
    assert server.beats == []


@pytest.mark.parametrize("call", ["claim", "publish", "release", "fail"])
@pytest.mark.parametrize("error", [ServerGone("connection reset"), ServerFull("maxmemory")], ids=["gone", "full"])
def test_a_server_in_trouble_costs_a_repeat_and_not_the_worker(
    server: FakeServer, call: str, error: PipelineError, caplog: pytest.LogCaptureFixture
) -> None:
    style = "test-raise-4" if call in ("release", "fail") else "test-identity"
    paint = service(server, style)
    server.trouble[call] = error
    paint.handle(Ticket("clip", 4, 1, live=call == "fail").to_args())
    assert "stream=clip seq=4 left to be sent again" in caplog.text
    server.trouble.clear()
    server.claims[5] = document(5)
    paint.handle(Ticket("clip", 5, 1).to_args())
    assert [seq for seq, *_ in server.published] == [5]


def test_a_worker_gives_signs_of_life_and_signs_off(
    server: FakeServer, wait_until: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    paint = service(server)
    paint.handle(Ticket("clip", 4, 1).to_args())
    paint.start()
    wait_until(lambda: server.beats, what="a sign of life")
    with caplog.at_level(logging.INFO):
        server.trouble["forget"] = ServerGone("connection refused")
        paint.stop()
    beat = server.beats[0]
    assert (beat.name, beat.style, beat.device, beat.threads, beat.painted) == (WHO.name, "wave", "cpu", 1, 1)
    assert sum(map(int, beat.paint_counts.split(","))) == 1
    assert (beat.paint_s > 0, beat.device_bytes) == (True, 0)
    assert beat.pid > 0
    assert beat.rss_bytes > 1 << 20
    assert "could not sign off" in caplog.text


def test_a_meter_counts_intervals_between_its_marks() -> None:
    meter = Meter()
    assert meter.mark(0.0) == (0, 0.0)
    for second in range(1, 4):
        for _ in range(10):
            meter.count()
        assert meter.mark(BEAT_S * second) == (10 * second, 10 / BEAT_S)
    for second in range(4, 10):
        painted, fps = meter.mark(BEAT_S * second)
    assert (painted, fps) == (30, 0.0)
