"""What the benchmarks stand on: a line as long as it says, a picture of the size it says, the old way answering."""

import contextlib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.harness import HEIGHT, WIDTH, picture
from benchmarks.latency_proxy import relay, tcp
from benchmarks.rest import frames_per_s
from pipeline.protocol.codec import decode, probe
from pipeline.protocol.frame import EncodedFrame
from viewer.tls import self_signed, server_context

ROUND_TRIP_S = 0.05
TURNS = 20


@pytest.fixture
def rest() -> Iterator[int]:
    """A server of the old way; its port."""
    argv = [sys.executable, "-m", "benchmarks.rest", "-", "-"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.terminate()


def answered(port: int, context: ssl.SSLContext | None = None) -> tuple[float, float]:
    """Return seconds until the first answer, connecting included, and a further one's."""
    body = b"x" * 100_000
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + body
    times_s = []
    began_s = time.monotonic()
    with contextlib.ExitStack() as stack:
        line = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        if context is not None:
            line = stack.enter_context(context.wrap_socket(line, server_hostname="localhost"))
        for _ in range(TURNS):
            line.sendall(request)
            answer = b""
            while not answer.endswith(body):
                answer += line.recv(1 << 18)
            times_s.append(time.monotonic() - began_s)
            began_s = time.monotonic()
    return times_s[0], min(times_s[1:])


def test_a_relayed_line_takes_its_round_trip_and_two_for_the_first_bytes(rest: int) -> None:
    with relay(tcp(rest), ROUND_TRIP_S) as port:
        first_s, later_s = answered(port)
    assert first_s >= 2 * ROUND_TRIP_S
    assert ROUND_TRIP_S <= later_s < 2 * ROUND_TRIP_S, "the calmest of many turns"


def test_tls_behind_the_line_costs_a_handshake_across_it(rest: int, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, ["localhost"])
    trusting = ssl.create_default_context(cafile=str(certificate))
    with relay(tcp(rest), ROUND_TRIP_S, server_context(certificate, key)) as port:
        first_s, later_s = answered(port, trusting)
    assert first_s >= 3 * ROUND_TRIP_S
    assert later_s >= ROUND_TRIP_S


def test_bytes_that_wait_for_the_first_round_trip_together_stay_in_order(rest: int) -> None:
    body = bytes(range(256)) * 8192
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with relay(tcp(rest), ROUND_TRIP_S) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(head + body)
        answer = b""
        while not answer.endswith(body) and (more := line.recv(1 << 18)):
            answer += more
    assert answer.partition(b"\r\n\r\n")[2] == body


def test_the_old_way_answers_with_the_picture(rest: int) -> None:
    assert frames_per_s(rest, picture(), 0.1, trusted=None, keep=True) > 0
    assert frames_per_s(rest, picture(), 0.1, trusted=None, keep=False) > 0


@pytest.mark.parametrize("size", [20_000, 60_000, 300_000])
def test_a_picture_has_the_size_it_is_asked_for_and_decodes(size: int) -> None:
    jpeg = picture(size)
    assert len(jpeg) == size
    header = probe(jpeg)
    assert (header.width, header.height) == (WIDTH, HEIGHT)
    assert decode(EncodedFrame(0, 0, header.codec, WIDTH, HEIGHT, jpeg)).std() > 10
