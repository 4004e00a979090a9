"""A watched folder: whole files once, what changed again, bad ones moved aside, and no output for a source."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs.batch import Batch
from jobs.inbox import FAILED_FOLDER, Inbox
from jobs.options import Options
from jobs.report import Outcome, State
from jobs.supervisor import Supervisor
from jobs.tasks import PaintTask
from pipeline.errors import ServerGone, UsageError
from pipeline.process.config import settings
from pipeline.protocol.frame import Look
from pipeline.protocol.records import Heartbeat
from pipeline.server.broker import Broker
from pipeline.server.embedded import EmbeddedServer
from pipeline.server.transport import Transport
from tests.jobs.test_paint_job import Painters
from tests.jobs.test_painting import Said
from tests.media import Clip, make_clip
from viewer.segments import SinkOptions
from workers.styles import find_styles

OPTIONS = Options(Look(), SinkOptions(preset="ultrafast"), steady=False)


class Booth:
    """A folder `in`, its inbox at a clock of our own, and a painter."""

    def __init__(self, server: EmbeddedServer, transport: Transport, folder: Path) -> None:
        transport.send_heartbeat(Heartbeat("w", "wave", "cpu", 2))
        self._server, self._transport = server, transport
        self.now_s = 0.0
        self.folder = folder / "in"
        self.output = self.folder / "out"
        self.folder.mkdir()
        self.inbox = self.open()

    def open(self) -> Inbox:
        styles = find_styles(["wave"])
        return Inbox(self.folder, self.output, styles, OPTIONS, still_s=3.0, clock=lambda: self.now_s)

    def photo(self, name: str, value: int = 90) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((24, 32, 3), value, np.uint8)).save(path)
        return path

    def due(self, after_s: float = 0.0) -> list[str]:
        """What is due after a while, by name."""
        self.now_s += after_s
        return [task.source.name for task in self.inbox.due()]

    def paint(self) -> list[str]:
        """Paint what is due; return what was moved aside."""
        with Painters(self._server, set()) as painters:
            broker = Broker(self._server.url, self._transport, painters.pack, None)
            tasks = self.inbox.due()
            return self.inbox.settle(Batch(broker, OPTIONS, settings(), Said()).run(tasks, Supervisor()))

    def made(self) -> list[str]:
        return sorted(str(path.relative_to(self.output)) for path in self.output.rglob("[!.]*") if path.is_file())


@pytest.fixture
def booth(server: EmbeddedServer, transport: Transport, tmp_path: Path) -> Booth:
    return Booth(server, transport, tmp_path)


def test_a_file_counts_once_it_stood_still(booth: Booth) -> None:
    path = booth.photo("a.png")
    assert booth.due() == []
    assert booth.due(2.9) == []
    path.write_bytes(path.read_bytes() + b"more")
    assert booth.due(0.2) == [], "it grew"
    assert booth.due(2.9) == []
    assert booth.due(0.2) == ["a.png"]


def test_what_is_painted_is_remembered_and_what_changes_is_painted_again(booth: Booth) -> None:
    booth.photo("a.png")
    booth.photo("day 2/b.png")
    booth.due()
    booth.now_s += 4
    assert booth.paint() == []
    assert booth.made() == ["a.wave.png", "day 2/b.wave.png"]
    assert booth.due(4) == booth.due(4) == []
    booth.inbox = booth.open()
    assert booth.due() == booth.due(4) == booth.due(4) == [], "after a restart as well"
    booth.photo("a.png", 200)
    booth.due()
    assert booth.due(4) == ["a.png"]
    booth.paint()
    assert np.asarray(Image.open(booth.output / "a.wave.png")).mean() == 200


def test_a_bad_file_is_moved_aside_with_its_reason_and_the_others_are_painted(booth: Booth) -> None:
    booth.photo("good.png")
    for _ in range(2):
        (booth.folder / "bad.png").write_bytes(b"no picture")
        booth.due()
        booth.now_s += 4
        (line,) = booth.paint()
        assert "bad.png is moved to" in line
    assert booth.made() == ["good.wave.png"]
    aside = booth.folder / FAILED_FOLDER
    assert sorted(path.name for path in aside.iterdir()) == ["bad-2.png", "bad-2.png.txt", "bad.png", "bad.png.txt"]
    assert "not a readable photo" in (aside / "bad.png.txt").read_text()
    assert booth.due(4) == booth.due(4) == []


def test_two_files_of_one_stem_get_a_painting_each(booth: Booth) -> None:
    for suffix in ("mp4", "mov"):
        make_clip(booth.folder / f"a.{suffix}", Clip(frames=3))
    booth.due()
    booth.now_s += 4
    booth.paint()
    assert booth.made() == ["a.mp4.wave.mp4", "a.wave.mp4"]
    assert booth.due(4) == []
    booth.inbox = booth.open()
    assert booth.due() == booth.due(4) == []


@pytest.mark.parametrize(("error", "again_s"), [(ServerGone("away"), 31.0), (UsageError("bad"), None)])
def test_only_what_is_the_files_own_fault_moves_it_aside(
    booth: Booth, error: ServerGone | UsageError, again_s: float | None
) -> None:
    path = booth.photo("a.png")
    booth.due()
    booth.now_s += 4
    (task,) = booth.inbox.due()
    assert isinstance(task, PaintTask)
    moved = booth.inbox.settle([Outcome(task, State.FAILED, str(error), error=error)])
    assert path.exists() is (again_s is not None)
    assert bool(moved) is (again_s is None)
    assert booth.due() == []
    if again_s is not None:
        assert booth.due(again_s) == ["a.png"]
