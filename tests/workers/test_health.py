"""A worker that cannot paint at all ends itself; one that met bad frames goes on."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.protocol.wire import Ticket
from tests.workers.test_service import LIMITS, WHO, FakeServer, document
from workers.exit_codes import EXIT_BROKEN
from workers.fake_styles import SleepingEngine, load_standin
from workers.health import SUSPECT_AFTER, Health
from workers.leases import Leases
from workers.painter import EnginePainter, Painter
from workers.service import PaintService


class BrokenEngine(SleepingEngine):
    """Raises `says` at every picture, or only at those of the frames' size."""

    def __init__(self, says: str, *, only_frames: bool = False) -> None:
        super().__init__()
        self._says, self._only_frames = says, only_frames

    def paint(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self._only_frames and pixels.shape[0] != 24:
            return super().paint(pixels)
        raise RuntimeError(self._says)


def service(server: FakeServer, painter: Painter, ended: list[int]) -> PaintService:
    server.claims = {seq: document(seq) for seq in range(10)}
    leases = Leases(server, lease_s=1.5, renew_s=0.5, hang_s=20)
    return PaintService(server, painter, leases, WHO, limits=LIMITS, end_process=ended.append)


def engine_painter(engine: SleepingEngine) -> EnginePainter:
    return EnginePainter(engine, tile_mb=1000, jpeg_quality=95)


@pytest.mark.parametrize(
    ("says", "frames"),
    [
        pytest.param("CUDA error: unspecified launch failure", 1, id="device lost"),
        pytest.param("the network is gone", SUSPECT_AFTER, id="nothing can be painted"),
    ],
)
def test_a_worker_that_cannot_paint_ends_itself_and_its_frames_are_handed_back(says: str, frames: int) -> None:
    server, ended = FakeServer(), list[int]()
    broken = service(server, engine_painter(BrokenEngine(says)), ended)
    for seq in range(frames):
        assert not ended, f"before frame {seq}"
        broken.handle(Ticket("clip", seq, 1).to_args())
    assert ended == [EXIT_BROKEN]
    assert [seq for seq, _ in server.released] == list(range(frames))
    assert server.forgotten == [WHO.name], "nobody is to count on it any more"


def test_a_worker_that_meets_bad_frames_only_goes_on() -> None:
    server, ended = FakeServer(), list[int]()
    sound = service(server, engine_painter(BrokenEngine("odd frame", only_frames=True)), ended)
    for seq in range(SUSPECT_AFTER):
        sound.handle(Ticket("clip", seq, 1, live=True).to_args())
    assert (ended, len(server.failed)) == ([], SUSPECT_AFTER)


def test_a_beat_does_not_ask_the_device() -> None:
    server = FakeServer()
    painted = service(server, load_standin("test-identity", jpeg_quality=95), [])
    painted.device_bytes = lambda: 7
    painted.handle(Ticket("clip", 4, 1).to_args())

    def lost() -> int:
        raise RuntimeError("CUDA error: unspecified launch failure")

    painted.device_bytes = lost
    painted.come_back()
    assert [beat.device_bytes for beat in server.beats] == [7]


def test_a_worker_that_failed_leaves_the_next_frame_to_others_for_a_moment() -> None:
    health = Health()
    assert health.pause_s == 0.0
    pauses = []
    for _ in range(7):
        health.failed()
        pauses.append(health.pause_s)
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    health.painted()
    assert health.pause_s == 0.0
