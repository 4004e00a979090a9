"""Who gets how much of a style's workers: live streams first, no file starved by them, and files all alike.

Judged by the order in which frames were claimed, by the server's clock: how long each took on a busy machine does not
matter. Rates and delays are measured by `benchmarks/sharing.py`.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pytest

from benchmarks.sharing import filing
from pipeline.flow.window import LiveWindow, window_size
from pipeline.protocol.codec import encode
from pipeline.protocol.frame import Codec, Frame, Mode
from pipeline.protocol.queues import FILE_TURN
from pipeline.protocol.wire import Ticket, pack_frame, unpack_stages
from pipeline.server.app import create_app, message_of
from pipeline.server.broker import Broker, open_broker
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from producer.submit import AT_ONCE
from tests.fleet.places import environment, running, worker
from tests.fleet.streams import camera, photos
from tests.waiting import WaitUntil

STYLE = "test-sleep-60"
PICTURE = encode(Frame(0, 0, np.full((48, 64, 3), 90, np.uint8)), Codec.MJPEG)
#: Frames of each kind that wait before the first is painted.
WAITING = 20


@pytest.fixture
def broker(server: EmbeddedServer, transport: Transport, tmp_path: Path, wait_until: WaitUntil) -> Iterator[Broker]:
    """A server with one worker."""
    with running(worker(STYLE), environment(BROKER_URL=server.url), tmp_path / "worker.log"):
        wait_until(transport.workers, 40, "the worker")
        with open_broker(server.url) as opened:
            yield opened


def claims(transport: Transport, stream: str) -> list[tuple[int, int]]:
    """When each painted frame of a stream was sent and claimed (server ms), in the order it was published."""
    entries = transport.read(stream, b"0-0", block_ms=1, count=1000)
    return [(stages.sent_ms, stages.claimed_ms) for stages in (unpack_stages(entry.stages) for entry in entries)]


@pytest.mark.system
@pytest.mark.timeout(120)
def test_where_both_wait_a_file_gets_every_fifth_frame_and_live_streams_the_rest(
    server: EmbeddedServer, transport: Transport, tmp_path: Path, wait_until: WaitUntil
) -> None:
    app = create_app(server.url)
    places = LiveWindow(STYLE, WAITING)
    for stream, mode in (("film", Mode.FILE), ("desk", Mode.LIVE)):
        transport.open_stream(stream, {"maxlen": WAITING, "style": STYLE, "mode": str(mode)})
    for seq in range(WAITING):
        picture = replace(PICTURE, seq=seq)
        transport.submit("film", seq, pack_frame(picture), message_of(app, STYLE, Ticket("film", seq, 1)))
        ticket = message_of(app, STYLE, Ticket("desk", seq, 1, live=True))
        transport.submit_live("desk", picture, ticket, window=places, drops={})
    with running(worker(STYLE), environment(BROKER_URL=server.url), tmp_path / "worker.log"):
        wait_until(lambda: len(claims(transport, "desk")) == WAITING, 60, "all live frames")
        film, desk = claims(transport, "film"), claims(transport, "desk")
    last_ms = desk[-1][1]
    order = sorted([(at_ms, "file") for _, at_ms in film if at_ms < last_ms] + [(at_ms, "live") for _, at_ms in desk])
    turns = [kind for _, kind in order]
    # Only the very last live frame may find the file's turn before or after it.
    assert WAITING // (FILE_TURN - 1) - 1 <= turns.count("file") <= WAITING // (FILE_TURN - 1)
    for at in range(len(turns) - FILE_TURN + 1):
        assert turns[at : at + FILE_TURN].count("file") == 1, turns


@pytest.mark.system
@pytest.mark.timeout(120)
def test_a_live_frame_waits_for_two_frames_of_a_file_at_most_and_the_file_has_its_share(
    broker: Broker, wait_until: WaitUntil
) -> None:
    transport = broker.transport
    film: dict[int, int] = {}
    desk: dict[int, int] = {}

    def seen() -> int:
        """Remember what was painted; the server keeps the latest only."""
        for card in transport.streams():
            (desk if card.mode == Mode.LIVE else film).update(
                (claimed_ms, sent_ms) for sent_ms, claimed_ms in claims(transport, card.name)
            )
        return len(desk)

    with camera(broker.url, STYLE, 8.0), filing(broker, STYLE):
        wait_until(lambda: bool(film) or not seen(), 30, "the file")
        wait_until(lambda: seen() >= 40, 60, "40 live frames")
    began_ms = min(film)
    waited = [
        sum(sent_ms < at_ms < claimed_ms for at_ms in film)
        for claimed_ms, sent_ms in desk.items()
        if sent_ms > began_ms
    ]
    assert len(waited) > 20
    # The one that was taken already, and where it is the file's turn one more.
    assert max(waited) <= 2
    turns = sorted([(at_ms, "file") for at_ms in film] + [(at_ms, "live") for at_ms in desk if at_ms > began_ms])
    files = [at for at, (_, kind) in enumerate(turns) if kind == "file"]
    assert max(later - sooner for sooner, later in pairwise(files)) <= FILE_TURN


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_files_of_several_commands_advance_alike_and_one_that_comes_later_does_not_wait_for_the_first(
    broker: Broker, tmp_path: Path, wait_until: WaitUntil
) -> None:
    env = environment(BROKER_URL=broker.url)
    # stream → when a frame was claimed → when it was sent
    files: dict[str, dict[int, int]] = {}

    def least() -> int:
        """Remember what was painted; the server keeps the latest only. Return of how many frames of each file."""
        for card in broker.transport.streams():
            if found := claims(broker.transport, card.name):
                files.setdefault(card.name, {}).update((claimed_ms, sent_ms) for sent_ms, claimed_ms in found)
        return min(map(len, files.values()), default=0)

    with ExitStack() as stack:
        for at, name in enumerate(("one", "two", "three"), start=1):
            argv = [sys.executable, "-m", "cli", "paint", str(photos(tmp_path / name, 1500)), "-s", STYLE]
            stack.enter_context(running(argv, env, tmp_path / f"{name}.log"))
            wait_until(lambda at=at: least() and len(files) == at, 60, f"{name}'s first painting")
        wait_until(lambda: least() >= 40, 60, "40 frames of each")
    # Each has its window of tickets in one queue, first come first served: no frame waits for more of another file's,
    # the very first one included. A server that answers slowly on a busy machine is taken for one far away.
    most = window_size(1) + AT_ONCE
    for mine, others in permutations(files.values(), 2):
        waited = [sum(sent_ms < at_ms < claimed_ms for at_ms in others) for claimed_ms, sent_ms in mine.items()]
        assert max(waited) <= most
