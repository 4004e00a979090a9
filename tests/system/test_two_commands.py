"""Two commands on one machine: whoever came first may leave first."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.media import Clip, make_clip, pts_of
from tests.system.conftest import Painter, WaitUntil

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(150)]

Start = Callable[..., Painter]


def test_a_command_that_joined_goes_on_when_server_and_workers_of_the_first_would_end(
    painter: Start, tmp_path: Path, wait_until: WaitUntil
) -> None:
    clip, endless = (make_clip(tmp_path / f"{frames}.mp4", Clip(frames=frames)) for frames in (60, 1500))
    first = painter("paint", endless, "-s", "test-sleep-100", "--workers", "1", "-o", tmp_path / "A.mp4")
    first.painted(1)
    second = painter("paint", clip, "-s", "test-sleep-100", "-o", tmp_path / "B.mp4", PAINTER_SERVER_WAIT_S="3")
    transport = first.transport()
    wait_until(lambda: len([card for card in transport.streams() if card.painted]) == 2, 60, "both are painted")
    first.kill(signal.SIGINT)
    assert first.end()[0] == 130
    code, _, said = second.end()
    assert code == 0, said
    assert "nobody paints test-sleep-100 any more; starting workers of our own" in said
    assert pts_of(tmp_path / "B.mp4") == pts_of(clip)
    second.nothing_left()
