"""The window's loop with a canvas of the test's own: newest picture, keys, states and the end; the virtual camera."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.errors import ServerGone
from pipeline.protocol.codec import encode_pixels, probe
from pipeline.protocol.frame import Codec, EncodedFrame, Look
from pipeline.protocol.records import StreamRecord
from pipeline.protocol.wire import Stages
from tests.waiting import WaitUntil
from viewer.broadcast import Broadcast, Shot, Watch
from viewer.virtual_camera import VirtualCamera
from viewer.window import Controls, Player, beside

Pixels = NDArray[np.uint8]
CARD = StreamRecord("cam", "live", "wave", Look(0.5), 64, 48, 0, 0, 0, 0, 0, 0.0)


def grey(value: int, width: int = 64, height: int = 48) -> Pixels:
    return np.full((height, width, 3), value, np.uint8)


def shot(seq: int, *, source: int | None = None) -> Shot:
    data = encode_pixels(grey(seq), Codec.MJPEG)
    compared = b"" if source is None else encode_pixels(grey(source), Codec.MJPEG)
    return Shot("cam", EncodedFrame(seq, seq, Codec.MJPEG, 64, 48, data), compared, Stages(), 0)


class FakeCanvas:
    """Presses the keys it is given, one a look, and keeps what it was shown."""

    def __init__(self) -> None:
        self.keys: deque[str] = deque()
        self.shown: list[Pixels] = []
        self.titles: list[str] = []
        self.is_open = True

    def show(self, pixels: Pixels) -> None:
        self.shown.append(pixels)

    def entitle(self, title: str) -> None:
        self.titles.append(title)

    def key(self) -> str:
        return self.keys.popleft() if self.keys else ""


class FakeBroadcast(Broadcast):
    """A broadcast without a server: the test hands out the shots and the stream's card."""

    def __init__(self) -> None:
        self.cards: list[StreamRecord] = [CARD]
        self.comparing: list[bool] = []
        self.is_gone = False
        self.watches: list[Watch] = []

    def watch(self, stream: str, wake: Callable[[], None]) -> Watch:
        self.watches.append(Watch(stream, wake, self.watches.remove))
        return self.watches[-1]

    def compare(self, stream: str, on: bool) -> None:
        self.comparing.append(on)

    def streams(self) -> list[StreamRecord]:
        if self.is_gone:
            raise ServerGone("gone")
        return self.cards


class Stage:
    """A player on a thread of its own, and everything around it."""

    def __init__(self, folder: Path) -> None:
        self.canvas, self.broadcast = FakeCanvas(), FakeBroadcast()
        self.wishes: list[tuple[str, Look]] = []
        self.said: list[str] = []
        self.now_s = 0.0
        controls = Controls(["starry", "wave", "cafe"], self._wish, folder, self.said.append)
        self.player = Player(self.broadcast, CARD, self.canvas, controls, clock=lambda: self.now_s)
        self.thread = threading.Thread(target=self.player.run)

    def _wish(self, style: str, look: Look) -> bool:
        self.wishes.append((style, look))
        self.broadcast.cards = [replace(CARD, style=style)]
        return True

    def put(self, one: Shot) -> None:
        self.broadcast.watches[0].put(one)


@pytest.fixture
def stage(tmp_path: Path, wait_until: WaitUntil) -> Iterator[Stage]:
    played = Stage(tmp_path)
    played.thread.start()
    wait_until(lambda: played.broadcast.watches)
    yield played
    played.canvas.is_open = False
    played.thread.join(5)
    assert not played.thread.is_alive()
    assert played.broadcast.watches == []


def test_pictures_are_shown_as_they_come(stage: Stage, wait_until: WaitUntil) -> None:
    for seq in (1, 2, 3):
        stage.put(shot(seq))
        wait_until(lambda seq=seq: len(stage.canvas.shown) == seq)
    assert [int(pixels[0, 0, 0]) for pixels in stage.canvas.shown] == [1, 2, 3]


@pytest.mark.parametrize("key", ["q", "\x1b"], ids=["q", "Escape"])
def test_quit_keys_end_it(stage: Stage, key: str) -> None:
    stage.canvas.keys.append(key)
    stage.thread.join(5)
    assert not stage.thread.is_alive()


def test_a_closed_window_ends_it(stage: Stage) -> None:
    stage.canvas.is_open = False
    stage.thread.join(5)
    assert not stage.thread.is_alive()


def test_digits_and_n_choose_a_style_and_keep_the_look(stage: Stage, wait_until: WaitUntil) -> None:
    stage.canvas.keys.append("3")
    wait_until(lambda: stage.wishes == [("cafe", Look(0.5))])
    wait_until(lambda: "cafe" in stage.canvas.titles[-1])
    stage.canvas.keys.extend("n9x")
    wait_until(lambda: not stage.canvas.keys and len(stage.wishes) == 2)
    assert stage.wishes[1] == ("starry", Look(0.5))


def test_compare_shows_the_sources_left_half_until_it_is_switched_off(stage: Stage, wait_until: WaitUntil) -> None:
    stage.canvas.keys.append("c")
    wait_until(lambda: stage.broadcast.comparing == [True])
    stage.put(shot(100, source=20))
    wait_until(lambda: stage.canvas.shown)
    assert [int(stage.canvas.shown[0][5, x, 0]) for x in (0, 32, 63)] == [20, 255, 100]
    stage.canvas.keys.append("c")
    wait_until(lambda: stage.broadcast.comparing == [True, False])
    stage.put(shot(101, source=20))
    wait_until(lambda: len(stage.canvas.shown) == 2)
    assert int(stage.canvas.shown[1][5, 0, 0]) == 101


def test_compare_is_switched_off_with_the_window(stage: Stage, wait_until: WaitUntil) -> None:
    stage.canvas.keys.extend("cq")
    stage.thread.join(5)
    assert stage.broadcast.comparing == [True, False]


def test_a_snapshot_is_the_painting_as_a_png(stage: Stage, tmp_path: Path, wait_until: WaitUntil) -> None:
    stage.put(shot(100))
    wait_until(lambda: stage.canvas.shown)
    stage.canvas.keys.append("s")
    wait_until(lambda: stage.said)
    (path,) = tmp_path.glob("cam-*.png")
    assert str(path) in stage.said[0]
    header = probe(path.read_bytes())
    assert (header.codec, header.width, header.height) == (Codec.PNG, 64, 48)


def test_a_stream_that_ends_ends_the_window(stage: Stage, wait_until: WaitUntil) -> None:
    stage.broadcast.cards = []
    stage.now_s = 2.0
    wait_until(lambda: len(stage.canvas.titles) >= 2)
    assert stage.thread.is_alive()
    stage.now_s = 4.0
    stage.thread.join(5)
    assert stage.said == ["cam has ended"]


def test_a_server_that_is_gone_is_told_and_waited_for(stage: Stage, wait_until: WaitUntil) -> None:
    stage.broadcast.is_gone = True
    stage.now_s = 60.0
    wait_until(lambda: stage.canvas.titles[-1:] == ["cam – server gone"])
    stage.broadcast.is_gone = False
    stage.now_s = 62.0
    wait_until(lambda: "waiting for pictures" in stage.canvas.titles[-1])
    assert stage.thread.is_alive()


def test_a_damaged_picture_is_left_out(stage: Stage, wait_until: WaitUntil) -> None:
    good = shot(1)
    stage.put(replace(good, frame=replace(good.frame, data=b"\xff\xd8 no picture")))
    wait_until(lambda: stage.said)
    stage.put(shot(2))
    wait_until(lambda: stage.canvas.shown)


def test_sources_of_another_size_are_fitted_beside() -> None:
    joined = beside(grey(20, 128, 96), grey(100))
    assert joined.shape == (48, 64, 3)
    assert [int(joined[5, x, 0]) for x in (0, 32, 63)] == [20, 255, 100]


class FakeDevice:
    """What `pyvirtualcam.Camera` is to us."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.sent: list[Pixels] = []
        self.is_closed = False

    def send(self, frame: Pixels) -> None:
        self.sent.append(frame)

    def close(self) -> None:
        self.is_closed = True


def test_a_virtual_camera_keeps_the_size_of_its_first_picture() -> None:
    devices: list[FakeDevice] = []

    def open_device(width: int, height: int) -> FakeDevice:
        devices.append(FakeDevice(width, height))
        return devices[-1]

    camera = VirtualCamera(open_device)
    camera.show(grey(1))
    camera.show(grey(2, 32, 24))
    camera.close()
    camera.close()
    (device,) = devices
    assert [pixels.shape for pixels in device.sent] == [(48, 64, 3), (48, 64, 3)]
    assert device.is_closed
