"""The stage of the fault tests, and the clips they paint."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from tests.faults.proxy import Proxy
from tests.faults.stage import Command, Stage, Watcher
from tests.media import Clip, make_clip, pts_of

FRAMES = 160


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All but the secrets' tests compare what a fault costs with a figure in seconds, beside many processes."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.slow if item.path.stem == "test_secrets" else pytest.mark.serial)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A private server, and a place to run commands."""
    stage = Stage(tmp_path)
    yield stage
    stage.close()


@pytest.fixture
def proxy(stage: Stage) -> Iterator[Proxy]:
    """A door to the stage's server that meddles once told how."""
    proxy = Proxy(stage.server.url)
    yield proxy
    proxy.close()


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> "Film":
    """A clip whose frames can be told apart."""
    folder = tmp_path_factory.mktemp("film")
    return Film(make_clip(folder / "film.mp4", Clip(frames=FRAMES)), make_clip(folder / "loop.mp4", Clip(frames=50)))


class Film:
    """`path` is painted as a file, `loop` runs as a camera."""

    def __init__(self, path: Path, loop: Path) -> None:
        self.path, self.loop = path, loop

    def run_on(self, stage: Stage, style: str, output: Path, frames: int = 30) -> tuple[Watcher, Command]:
        """Paint a live stream that somebody watches, and a file until so many frames are; return viewer and job."""
        stage.work(style)
        stage.live(self.loop, style)
        watcher = stage.watcher()
        job = stage.paint(self.path, style, output)
        stage.painted(frames)
        return watcher, job

    def is_whole_in(self, output: Path) -> bool:
        """Whether every frame is there once, in order, each at its own time."""
        assert numbers(output) == [n % 16 for n in range(FRAMES)]
        assert pts_of(output) == pts_of(self.path)
        return True


def numbers(path: Path) -> list[int]:
    """Read each frame's number (modulo 16) off its picture."""
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    reds = [picture[2 : picture.shape[0] // 5, :, 2].mean(axis=0) for picture in pictures]
    return [int(np.argmax(red.reshape(16, -1).mean(axis=1))) for red in reds]
