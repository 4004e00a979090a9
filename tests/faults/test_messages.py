"""Messages come twice, late and out of order, and replies get lost: the output is the same, and live stays in order."""

from pathlib import Path

import pytest

from tests.faults.conftest import Film
from tests.faults.meddler import Meddler
from tests.faults.proxy import Proxy
from tests.faults.stage import Stage

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

STYLE = "test-sleep-5"


@pytest.mark.parametrize(
    "meddle",
    [
        Meddler(1, twice=1.0),
        Meddler(2, late=0.3, shuffled=1.0),
        Meddler(3, twice=0.3, late=0.3, shuffled=0.3, lost=0.03),
    ],
    ids=["twice", "shuffled", "all, and replies lost"],
)
def test_messages_twice_late_and_shuffled_change_nothing(
    stage: Stage, proxy: Proxy, film: Film, tmp_path: Path, meddle: Meddler
) -> None:
    stage.work(STYLE, url=proxy.url)
    stage.live(film.loop, STYLE, url=proxy.url)
    watcher = stage.watcher()
    proxy.meddle = meddle
    job = stage.paint(film.path, STYLE, tmp_path / "out.mp4", url=proxy.url)
    assert job.end() == 0, job.said()
    assert film.is_whole_in(tmp_path / "out.mp4")
    stage.goes_on(watcher, 2)
    assert meddle.done > 30
    stage.require_sound(watcher)
