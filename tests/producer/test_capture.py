"""Live sources: pictures come at once, files keep their pace, what breaks is opened again, no read hangs."""

import time
from collections import deque
from collections.abc import Iterator
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import SourceError, SourceOver, UsageError
from producer import readers
from producer.capture import Capture, Pacer, Picture, delays
from producer.readers import CameraReader, FileReader
from tests.media import Clip, make_clip
from tests.producer.taken import MAX_PIXELS, Taken, grey, run


class Script:
    """A reader that gives what it was told: a number is a picture of that grey, an error is raised, the end is None."""

    def __init__(self, *steps: int | Exception) -> None:
        self.steps = deque(steps)
        self.is_closed = False

    def read(self) -> Picture | None:
        if not self.steps:
            return None
        step = self.steps.popleft()
        if isinstance(step, Exception):
            raise step
        return Picture(grey(step))

    def close(self) -> None:
        self.is_closed = True


# -- the thread --------------------------------------------------------------------------------------------------------


def test_pictures_are_handed_on_in_order_with_a_time_that_never_goes_back() -> None:
    script, taken = Script(1, 2, 3), Taken()
    capture = Capture(lambda: script)
    run(capture, taken)
    capture.check()
    assert taken.values == [1, 2, 3]
    assert taken.times_ms == sorted(taken.times_ms)
    assert script.is_closed


def test_a_source_that_breaks_is_opened_again_and_its_trouble_is_told() -> None:
    scripts = [Script(1, SourceError("gone")), Script(SourceError("gone again")), Script(2)]
    opened: list[Script] = []
    troubles: list[str] = []
    taken = Taken()

    def open_next() -> Script:
        troubles.append(capture.trouble)
        opened.append(scripts[len(opened)])
        return opened[-1]

    capture = Capture(open_next, wait_before=lambda: repeat(0.001))
    run(capture, taken)
    assert taken.values == [1, 2]
    assert [trouble.partition(";")[0] for trouble in troubles] == ["", "gone", "gone again"]
    assert capture.trouble == ""
    assert all(script.is_closed for script in opened)


def test_a_source_that_cannot_be_opened_again_is_tried_later_and_later() -> None:
    waits: list[float] = []
    first = Script(1, SourceError("gone"))

    def noted() -> Iterator[float]:
        for wait_s in islice(delays(lambda: 0.5), 4):
            waits.append(wait_s)
            yield wait_s / 1000
        capture.stop()
        yield 60.0

    def open_once() -> Script:
        if first.steps:
            return first
        raise UsageError("does not answer")

    capture = Capture(open_once, wait_before=noted)
    run(capture, Taken())
    assert waits == [0.5, 1.0, 2.0, 4.0]


def test_delays_grow_to_half_a_minute_and_are_spread() -> None:
    assert list(islice(delays(lambda: 0.5), 9)) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert next(delays(lambda: 0.0)) == pytest.approx(0.375)
    assert next(delays(lambda: 1.0)) == pytest.approx(0.625)


def test_what_nobody_expected_ends_the_capture_with_one_line() -> None:
    capture = Capture(lambda: Script(1, ZeroDivisionError("odd")))
    run(capture, Taken())
    with pytest.raises(SourceError, match="odd"):
        capture.check()


def test_stop_wakes_a_capture_that_waits_for_its_next_try() -> None:
    capture = Capture(lambda: Script(SourceError("gone")), wait_before=lambda: repeat(600.0))
    capture.open()
    capture.start(Taken())
    capture.stop()
    assert capture.over.wait(2)


@pytest.mark.parametrize(
    ("steps", "waits"),
    [
        ([(0.0, 10.0), (0.04, 10.01), (0.08, 10.08)], [0.0, 0.03, 0.0]),
        ([(5.0, 10.0), (5.04, 10.0)], [0.0, 0.04]),
        ([(0.0, 10.0), (0.04, 10.3), (0.08, 10.3)], [0.0, 0.0, 0.0]),
        ([(0.0, 10.0), (0.04, 12.0), (0.08, 12.0)], [0.0, 0.0, 0.04]),
    ],
    ids=["in time", "from the middle", "a little late catches up", "very late goes on from here"],
)
def test_a_file_keeps_its_own_pace(steps: list[tuple[float, float]], waits: list[float]) -> None:
    pacer = Pacer()
    assert [pacer.wait_s(media_s, now_s) for media_s, now_s in steps] == pytest.approx(waits)


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_file_takes_as_long_as_it_plays(tmp_path: Path) -> None:
    clip, taken = make_clip(tmp_path / "clip.mp4", Clip(frames=12)), Taken()
    start_s = time.monotonic()
    run(Capture(lambda: FileReader(clip, loop=False, max_pixels=MAX_PIXELS)), taken)
    assert len(taken.values) == 12
    assert 0.4 < time.monotonic() - start_s < 3


def test_a_looped_file_goes_on_in_time(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=5))
    reader = FileReader(clip, loop=True, max_pixels=MAX_PIXELS)
    pictures = [reader.read() for _ in range(12)]
    reader.close()
    times_s = [picture.media_s for picture in pictures if picture is not None and picture.media_s is not None]
    assert times_s == pytest.approx([n / 25 for n in range(12)])
    assert pictures[0] is not None
    assert pictures[5] is not None
    assert np.array_equal(pictures[0].pixels, pictures[5].pixels)


# -- cameras -----------------------------------------------------------------------------------------------------------


class FakeDevice:
    """A camera that has `pictures` to give."""

    def __init__(self, pictures: int = 3, *, opens: bool = True) -> None:
        self.left, self.opens = pictures, opens
        self.wishes: list[tuple[int, float]] = []
        self.is_released = False

    def isOpened(self) -> bool:  # noqa: N802 – OpenCV's name
        return self.opens

    def set(self, propId: int, value: float) -> bool:  # noqa: N803 – OpenCV's name
        self.wishes.append((propId, value))
        return True

    def read(self) -> tuple[bool, Any]:
        self.left -= 1
        return (True, grey(self.left)) if self.left >= 0 else (False, None)

    def release(self) -> None:
        self.is_released = True


def test_a_camera_is_asked_for_mjpeg_before_its_size_and_to_buffer_one_picture() -> None:
    device = FakeDevice()
    CameraReader(0, (640, 480), device=lambda number: device)
    cv2 = readers.cv2
    assert [wish for wish, _ in device.wishes] == [
        cv2.CAP_PROP_FOURCC,
        cv2.CAP_PROP_FRAME_WIDTH,
        cv2.CAP_PROP_FRAME_HEIGHT,
        cv2.CAP_PROP_BUFFERSIZE,
    ]
    assert dict(device.wishes)[cv2.CAP_PROP_BUFFERSIZE] == 1


@pytest.mark.parametrize("device", [FakeDevice(opens=False), FakeDevice(0)], ids=["closed", "without pictures"])
def test_a_camera_that_gives_nothing_is_refused_and_freed(device: FakeDevice) -> None:
    with pytest.raises(UsageError, match="camera 2 cannot be opened"):
        CameraReader(2, device=lambda number: device)
    assert device.is_released


def test_a_camera_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="camera 250 cannot be opened"):
        CameraReader(250)


def test_an_unplugged_camera_comes_back() -> None:
    devices = iter([FakeDevice(3), FakeDevice(0), FakeDevice(3)])
    taken = Taken()
    capture = Capture(lambda: CameraReader(0, device=lambda number: next(devices)), wait_before=lambda: repeat(0.001))
    capture.open()
    capture.start(taken)
    assert capture.over.wait(5)  # the test's devices ran out
    assert taken.values == [1, 0, 1, 0]


# -- files that break --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", [False, True], ids=["once", "looped"])
def test_a_truncated_file_is_not_played_again_and_again(tmp_path: Path, loop: bool) -> None:
    clip = make_clip(tmp_path / "clip.mkv", Clip(frames=50, options={"crf": "4", "g": "10", "bf": "0"}))
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    held = len(list(islice(_until_broken(FileReader(clip, loop=False, max_pixels=MAX_PIXELS)), 60)))
    assert 10 < held < 50
    reader = FileReader(clip, loop=loop, max_pixels=MAX_PIXELS)
    taken = list(islice(_until_broken(reader), 2 * held + 5))
    assert len(taken) == (2 * held + 5 if loop else held)


def _until_broken(reader: FileReader) -> Iterator[Picture]:
    """Yield what a file gives; it must end by saying that it broke."""
    while True:
        try:
            picture = reader.read()
        except SourceOver as error:
            assert "broke at" in str(error)
            return
        assert picture is not None
        yield picture


def test_a_file_that_breaks_ends_its_stream_with_the_reason(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", Clip(frames=40, options={"crf": "4", "g": "10", "bf": "0"}))
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    capture = Capture(lambda: FileReader(clip, loop=False, max_pixels=MAX_PIXELS))
    run_to_its_end(capture)
    with pytest.raises(SourceOver, match="broke at"):
        capture.check()


def run_to_its_end(capture: Capture) -> None:
    """Read a source that ends by itself."""
    capture.open()
    capture.start(Taken())
    assert capture.over.wait(10)
    capture.stop()
