"""The server's side of a frame's way, on a real server: claim, lease, publish once, tombstones, `maxmemory`."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from pipeline.errors import ServerFull, ServerGone, ServerUnreachable
from pipeline.flow.resend import HANDED_BACK
from pipeline.protocol.records import DropReason, Heartbeat
from pipeline.protocol.wire import Stages
from pipeline.server.connection import answers, open_client, require_server, without_password
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from tests.tickets import ANY

STREAM = "clip"
QUEUE = "style.wave"
LEASE_MS = 60_000


@pytest.fixture
def opened(transport: Transport) -> Transport:
    """A transport with one open stream."""
    transport.open_stream(STREAM, {"maxlen": 4, "style": "wave"})
    return transport


def entries(transport: Transport) -> list[tuple[str, int]]:
    """What the painted stream holds."""
    return [(entry.kind, entry.seq) for entry in transport.read(STREAM, b"0-0", block_ms=1, count=100)]


def test_a_frame_is_painted_and_published_once(opened: Transport) -> None:
    assert opened.submit(STREAM, 0, b"pixels", ANY)
    claim = opened.claim(STREAM, 0, LEASE_MS)
    assert claim is not None
    assert claim.document == b"pixels"
    assert claim.sent_ms <= claim.claimed_ms
    assert opened.publish(STREAM, 0, b"painted", Stages(style="wave"))
    assert not opened.publish(STREAM, 0, b"painted again", Stages())
    (entry,) = opened.read(STREAM, b"0-0", block_ms=1)
    assert (entry.kind, entry.seq, entry.frame) == ("painted", 0, b"painted")
    assert opened.stream_facts(STREAM)["duplicates"] == "1"
    assert opened.in_flight(STREAM, QUEUE).scores == {}


def test_no_connection_is_opened_later_where_all_were_opened_at_start(
    opened: Transport, server: EmbeddedServer
) -> None:
    opened.keep_open(3)
    with open_client(server.url) as client:
        before = {one["id"] for one in client.client_list()}
        with ThreadPoolExecutor(3) as threads:
            waiting = [threads.submit(opened.read, STREAM, b"$", block_ms=500) for _ in range(3)]
            busy = 0
            while busy < 3 and not all(one.done() for one in waiting):
                clients = client.client_list()
                busy = sum(one["cmd"].startswith("xread") and "b" in one["flags"] for one in clients)
        assert busy == 3
        assert {one["id"] for one in clients} == before


def test_connections_opened_before_the_server_went_away_are_given_back(
    opened: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = opened._redis.connection_pool
    given = [pool.get_connection(), pool.get_connection()]

    def get_connection() -> object:
        if not given:
            raise redis.ConnectionError
        return given.pop()

    monkeypatch.setattr(pool, "get_connection", get_connection)
    with pytest.raises(ServerGone):
        opened.keep_open(3)
    assert pool._in_use_connections == set()


def test_a_held_frame_is_not_handed_out_twice(opened: Transport) -> None:
    opened.submit(STREAM, 0, b"pixels", ANY)
    assert opened.claim(STREAM, 0, LEASE_MS) is not None
    assert opened.claim(STREAM, 0, LEASE_MS) is None
    assert opened.claim(STREAM, 1, LEASE_MS) is None


def test_a_lease_can_be_renewed_until_another_has_the_frame(opened: Transport, server: EmbeddedServer) -> None:
    opened.submit(STREAM, 0, b"pixels", ANY)
    opened.claim(STREAM, 0, 0)
    assert opened.renew(STREAM, 0, LEASE_MS)
    assert opened.renew(STREAM, 0, 0)
    other = Transport.connect(server.url)
    assert other.claim(STREAM, 0, LEASE_MS) is not None
    assert not opened.renew(STREAM, 0, LEASE_MS)
    assert not opened.fail(STREAM, 0, "too late to say so")
    assert other.publish(STREAM, 0, b"painted", Stages())
    assert entries(opened) == [("painted", 0)]


def test_a_released_frame_is_overdue_at_once(opened: Transport) -> None:
    opened.submit(STREAM, 0, b"pixels", ANY)
    opened.claim(STREAM, 0, LEASE_MS)
    opened.release(STREAM, 0, "wave@cpu0.host", "raised")
    flight = opened.in_flight(STREAM, QUEUE)
    assert flight.scores == {0: HANDED_BACK}
    assert flight.failures == {0: {"wave@cpu0.host": "raised"}}
    opened.forget_stream(STREAM, [0])
    assert opened.in_flight(STREAM, QUEUE).failures == {}


def test_a_given_up_frame_leaves_a_tombstone(opened: Transport) -> None:
    opened.submit(STREAM, 0, b"pixels", ANY)
    opened.claim(STREAM, 0, LEASE_MS)
    assert opened.fail(STREAM, 0, "three times")
    (entry,) = opened.read(STREAM, b"0-0", block_ms=1)
    assert (entry.kind, entry.seq, entry.reason) == ("failed", 0, "three times")
    (card,) = opened.streams()
    assert (card.failed, card.failures) == (1, {DropReason.FAULT: 1})


def test_a_resend_is_refused_once_the_frame_moved_on(opened: Transport) -> None:
    opened.submit(STREAM, 0, b"pixels", ANY)
    (seen,) = opened.in_flight(STREAM, QUEUE).scores.values()
    opened.claim(STREAM, 0, LEASE_MS)
    assert not opened.submit(STREAM, 0, b"pixels", ANY, expected=seen)
    opened.publish(STREAM, 0, b"painted", Stages())
    assert not opened.submit(STREAM, 0, b"pixels", ANY, expected=seen)
    assert opened.in_flight(STREAM, QUEUE).scores == {}


def test_a_frame_whose_bytes_are_gone_goes_back_to_its_producer(opened: Transport, server: EmbeddedServer) -> None:
    opened.submit(STREAM, 0, b"pixels", ANY)
    redis.Redis(unix_socket_path=server.url.partition("://")[2].partition("?")[0]).delete(f"frame:{STREAM}:0")
    assert opened.claim(STREAM, 0, LEASE_MS) is None
    assert opened.in_flight(STREAM, QUEUE).scores == {0: 1}


def test_the_painted_stream_never_grows_over_its_bound(opened: Transport) -> None:
    for seq in range(10):
        opened.submit(STREAM, seq, b"pixels", ANY)
        opened.claim(STREAM, seq, LEASE_MS)
        opened.publish(STREAM, seq, b"painted", Stages())
    assert entries(opened) == [("painted", seq) for seq in range(6, 10)]


def test_read_entries_can_be_trimmed(opened: Transport) -> None:
    for seq in range(3):
        opened.submit(STREAM, seq, b"pixels", ANY)
        opened.publish(STREAM, seq, b"painted", Stages())
    opened.trim(STREAM, opened.read(STREAM, b"0-0", block_ms=1)[1].entry_id)
    assert entries(opened) == [("painted", 2)]


def test_painting_goes_on_at_maxmemory(opened: Transport) -> None:
    megabyte = bytes(1 << 20)
    sent = 0
    with pytest.raises(ServerFull):
        for sent in range(100):
            opened.submit(STREAM, sent, megabyte, ANY)
    assert sent > 10
    assert opened.claim(STREAM, 0, LEASE_MS) is not None
    assert opened.renew(STREAM, 0, LEASE_MS)
    assert opened.publish(STREAM, 0, megabyte, Stages())
    assert entries(opened) == [("painted", 0)]
    assert opened.in_flight(STREAM, QUEUE).scores.keys() == set(range(1, sent))


def test_a_stream_leaves_nothing_behind(opened: Transport, server: EmbeddedServer) -> None:
    for seq in range(3):
        opened.submit(STREAM, seq, b"pixels", ANY)
    opened.publish(STREAM, 0, b"painted", Stages())
    opened.forget_stream(STREAM, [1, 2])
    left = redis.Redis(unix_socket_path=server.url.partition("://")[2].partition("?")[0]).keys()
    assert left == [ANY.queue.encode()], "tickets alone, which their workers take"


def test_whatever_a_producer_that_dies_leaves_goes_by_itself(opened: Transport, server: EmbeddedServer) -> None:
    def immortal() -> list[bytes]:
        with open_client(server.url) as client:
            theirs = (b"streams", ANY.queue.encode())
            return [key for key in client.keys("*") if key not in theirs and client.pttl(key) < 0]

    opened.submit(STREAM, 0, b"pixels", ANY)
    opened.claim(STREAM, 0, LEASE_MS)
    assert immortal() == []
    opened.renew(STREAM, 0, LEASE_MS)
    assert immortal() == []
    opened.publish(STREAM, 0, b"painted", Stages(style="wave"))
    assert immortal() == []


def test_workers_are_known_by_their_beats(transport: Transport) -> None:
    beat = Heartbeat("wave@cpu0.desk", "wave", "cpu", 1, fps=12.5, painted=100, rss_bytes=1 << 28, pid=77, host="desk")
    transport.send_heartbeat(beat)
    assert transport.workers() == [beat]
    transport.forget_worker(beat.name)
    assert transport.workers() == []


def test_a_lost_server_is_said_so(opened: Transport, server: EmbeddedServer) -> None:
    server.stop()
    with pytest.raises(ServerGone):
        opened.now_ms()
    assert not answers(server.url)


def test_a_restarted_server_has_another_run_id(opened: Transport, server: EmbeddedServer) -> None:
    before = opened.in_flight(STREAM, QUEUE)
    server.stop()
    server.start()
    after = opened.in_flight(STREAM, QUEUE)
    assert before.run_id != after.run_id
    assert (before.exists, after.exists) == (True, False)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@desk:6379/0", "redis://:***@desk:6379/0"),
        ("rediss://painter:secret@desk/1", "rediss://painter:***@desk/1"),
        ("redis://desk", "redis://desk"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_an_unreachable_server_is_named_without_its_password() -> None:
    with pytest.raises(ServerUnreachable, match=r"redis://:\*\*\*@127\.0\.0\.1:1/0"):
        require_server("redis://:secret@127.0.0.1:1/0")
