"""Held frames are renewed, hung ones end the process; time is a number the test sets."""

import logging

import pytest

from pipeline.errors import ServerGone
from workers.exit_codes import EXIT_HUNG
from workers.leases import Leases


class Renewals:
    """A server that notes renewals; `gone` makes it unreachable."""

    def __init__(self) -> None:
        self.renewed: list[tuple[str, int, int]] = []
        self.gone = False

    def renew(self, stream: str, seq: int, lease_ms: int) -> bool:
        if self.gone:
            raise ServerGone("connection refused")
        self.renewed.append((stream, seq, lease_ms))
        return True


class Bench:
    """Leases with a clock and an end that can be looked at."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.ends: list[int] = []
        self.server = Renewals()
        self.leases = Leases(
            self.server,
            lease_s=1.5,
            renew_s=0.5,
            hang_s=20.0,
            clock=lambda: self.now_s,
            end_process=self.ends.append,
        )


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_only_frames_being_painted_are_renewed(bench: Bench) -> None:
    with bench.leases.hold("clip", 4), bench.leases.hold("clip", 5):
        bench.leases.tick()
    bench.leases.tick()
    assert sorted(bench.server.renewed) == [("clip", 4, 1500), ("clip", 5, 1500)]


def test_a_frame_is_let_go_when_its_painting_raises(bench: Bench) -> None:
    with pytest.raises(RuntimeError), bench.leases.hold("clip", 4):
        raise RuntimeError
    bench.leases.tick()
    assert bench.server.renewed == []


@pytest.mark.parametrize(("waited_s", "ends"), [(19.9, []), (20.1, [EXIT_HUNG])], ids=["slow", "hung"])
def test_the_process_ends_only_after_a_painting_hung_long_enough(
    bench: Bench, waited_s: float, ends: list[int]
) -> None:
    with bench.leases.hold("clip", 4):
        bench.now_s += waited_s
        bench.leases.tick()
    assert bench.ends == ends


def test_a_hung_frame_is_not_renewed_again_and_the_log_names_it(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL), bench.leases.hold("clip", 4):
        bench.now_s += 21
        bench.leases.tick()
    assert bench.server.renewed == []
    assert "stream=clip seq=4" in caplog.text


def test_progress_keeps_a_large_picture_alive(bench: Bench) -> None:
    with bench.leases.hold("clip", 4) as hold:
        for _ in range(5):
            bench.now_s += 15
            hold.progress()
            bench.leases.tick()
    assert bench.ends == []
    assert len(bench.server.renewed) == 5


def test_a_server_that_went_away_does_not_end_the_worker(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.server.gone = True
    with bench.leases.hold("clip", 4):
        bench.leases.tick()
    assert bench.ends == []
    assert "not renewed" in caplog.text
