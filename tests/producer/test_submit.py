"""A file's frames on their way to a server that is far away: several at once, and none of them lost to an error."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from pipeline.errors import ServerGone
from pipeline.flow.window import Window
from pipeline.protocol.frame import Codec, EncodedFrame, Look
from pipeline.protocol.wire import Message, Stages, Ticket, pack_frame
from pipeline.server.transport import Transport
from producer.submit import Order, Submission
from tests.waiting import WaitUntil

FAR_S = 0.02


class FarServer:
    """Takes `FAR_S` for each frame; `at_once` is how many were under way together at most. `gone`: it went away."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seqs: list[int] = []
        self.now = self.at_once = 0
        self.gone = False

    def submit(self, stream: str, seq: int, document: bytes, ticket: Message, *, expected: float | None = None) -> bool:
        with self.lock:
            self.now += 1
            self.at_once = max(self.at_once, self.now)
        time.sleep(FAR_S)
        with self.lock:
            self.now -= 1
            if self.gone:
                raise ServerGone("away")
            self.seqs.append(seq)
        return True

    def forget_stream(self, stream: str, seqs: list[int]) -> None: ...


def submission(
    server: FarServer | Transport, wait_s: float = 5.0, clock: Callable[[], float] = time.monotonic
) -> Submission:
    order = Order("clip", "wave", Look(), 3, {"style": "wave"})
    return Submission(
        server,  # type: ignore[arg-type]
        lambda ticket: Message("style.wave", repr(ticket).encode()),
        order,
        window=Window(6),
        wait_s=wait_s,
        clock=clock,
    )


def frame(seq: int) -> EncodedFrame:
    return EncodedFrame(seq, seq, Codec.MJPEG, 8, 8, b"pixels", "")


def test_a_far_server_is_sent_several_frames_at_once(wait_until: WaitUntil) -> None:
    server = FarServer()
    sent = submission(server)
    # The window of six, and eight more that travel.
    for seq in range(14):
        assert sent.submit(frame(seq))
    wait_until(lambda: len(server.seqs) == 14, 5)
    assert server.at_once > 2
    assert sorted(server.seqs) == list(range(14))
    assert sent.in_flight == 14
    sent.close()


def test_a_near_server_is_sent_one_frame_after_the_other(transport: Transport) -> None:
    # A clock that stands: however busy this machine is, the server answers at once.
    sent = submission(transport, clock=lambda: 0.0)
    for seq in range(6):
        assert sent.submit(frame(seq))
    assert sorted(transport.in_flight("clip", "style.wave").scores) == list(range(6))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("submit")]
    sent.close()


def test_a_line_that_is_full_is_sent_one_frame_after_the_other() -> None:
    class ThinLine(FarServer):
        """0.6 s of the line a frame, by its own clock."""

        now_s = 0.0

        def submit(
            self, stream: str, seq: int, document: bytes, ticket: Message, *, expected: float | None = None
        ) -> bool:
            self.now_s += 0.6
            return super().submit(stream, seq, document, ticket, expected=expected)

    server = ThinLine()
    sent = submission(server, clock=lambda: server.now_s)
    for seq in range(6):
        assert sent.submit(frame(seq))
    assert server.seqs == list(range(6))
    assert server.at_once == 1, "the others would wait for the line, and be cut off"
    sent.close()


def test_a_stop_waits_for_the_frame_on_a_full_line_and_for_no_other(wait_until: WaitUntil) -> None:
    class Clogged(FarServer):
        """Far at first, then full: three frames are cut off together, and the next one holds the line."""

        def __init__(self) -> None:
            super().__init__()
            self.now_s = 0.0
            self.cut_off = threading.Barrier(3)
            self.let_go = threading.Event()

        def submit(
            self, stream: str, seq: int, document: bytes, ticket: Message, *, expected: float | None = None
        ) -> bool:
            if seq == 0:
                self.now_s += FAR_S
                return True
            with self.lock:
                self.seqs.append(seq)
                is_first = self.seqs.count(seq) == 1
            if is_first:
                self.cut_off.wait(5)
                self.now_s += 1
                raise ServerGone("timed out")
            assert self.let_go.wait(5)
            return True

    def pack(ticket: Ticket) -> Message:
        packed.append(ticket.seq)
        return Message("style.wave", b"ticket")

    packed: list[int] = []
    server = Clogged()
    order = Order("clip", "wave", Look(), 3, {})
    sent = Submission(server, pack, order, window=Window(6), wait_s=60, clock=lambda: server.now_s)  # type: ignore[arg-type]
    for seq in range(4):
        assert sent.submit(frame(seq))
    wait_until(lambda: len(packed) == 7 and len(server.seqs) == 4, 5, "one on the line, two waiting for it")
    sent.stop()
    server.let_go.set()
    sent.close()
    assert len(server.seqs) == 4


def test_a_far_server_that_stays_away_ends_the_job(wait_until: WaitUntil) -> None:
    server = FarServer()
    sent = submission(server, wait_s=0.2)
    for seq in range(3):
        sent.submit(frame(seq))
    server.gone = True
    sent.submit(frame(3))

    def says_so() -> bool:
        try:
            sent.watch()
        except ServerGone:
            return True
        except AttributeError:  # this server knows no looks
            return False
        return False

    wait_until(says_so, 5)
    sent.close()


def test_a_frame_that_arrives_while_it_is_sent_again_is_sent_whole() -> None:
    documents: list[bytes] = []

    class Lossy(FarServer):
        def submit(
            self, stream: str, seq: int, document: bytes, ticket: Message, *, expected: float | None = None
        ) -> bool:
            documents.append(document)
            if len(documents) == 1:
                raise ServerGone("carried out, but its answer was lost")
            return True

    def pack(ticket: Ticket) -> Message:
        if documents:
            sent.arrived(ticket.seq, Stages())
        return Message("style.wave", b"ticket")

    order = Order("clip", "wave", Look(), 3, {"style": "wave"})
    sent = Submission(Lossy(), pack, order, window=Window(6), wait_s=5)  # type: ignore[arg-type]
    assert sent.submit(frame(0))
    assert documents == [pack_frame(frame(0))] * 2
    sent.close()


def test_tickets_are_those_of_their_frames() -> None:
    packed: list[Ticket] = []
    server = FarServer()
    order = Order("clip", "wave", Look(), 3, {})
    sent = Submission(
        server,  # type: ignore[arg-type]
        lambda ticket: packed.append(ticket) or Message("q", b""),
        order,
        window=Window(6),
        wait_s=1.0,
    )
    sent.submit(frame(0))
    assert packed == [Ticket("clip", 0, 1)]
    sent.close()


def test_the_window_grows_once_the_painted_stream_has_room_and_by_32_mb_at_most(transport: Transport) -> None:
    sent = submission(transport, clock=lambda: 0.0)
    sent.watch()

    def maxlen() -> int:
        return int(transport.stream_facts("clip")["maxlen"])

    for seq, pixels in enumerate((b"pixels", bytes(1 << 20))):
        assert sent.submit(replace(frame(seq), data=pixels))
    before = maxlen()
    sent.resize(6, wider=1000)
    # In between a painting could come that has no room yet.
    assert (sent._window.size, maxlen()) == (6, before)
    sent.watch()
    # 31 of a megabyte and its head.
    assert sent._window.size == 6 + 31
    assert maxlen() >= 2 * sent._window.size
    sent.resize(6)
    assert sent._window.size == 6
    sent.close()
