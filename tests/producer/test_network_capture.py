"""Cameras in the network: MJPEG and RTSP; what ends or falls silent is opened again, no read hangs."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SourceError, UsageError
from pipeline.protocol.codec import encode_pixels
from pipeline.protocol.frame import Codec
from producer import readers
from producer.capture import Capture
from producer.readers import UrlReader, require_url
from tests.media import Clip, make_clip
from tests.producer.rtsp import RtspCamera
from tests.producer.taken import MAX_PIXELS, Taken, grey
from tests.waiting import WaitUntil


class Camera(ThreadingHTTPServer):
    """An MJPEG camera on a port of its own: /live sends until told to stop, /three breaks off, /hang falls silent."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Shots)
        self.quiet = threading.Event()
        self.visits = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Shots(BaseHTTPRequestHandler):
    server: Camera

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.visits += 1
        if self.path == "/page":
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=shot")
        self.end_headers()
        try:
            for number in range(3 if self.path == "/three" else 10 if self.path == "/hang" else 10_000):
                self._send(number)
                if self.server.quiet.wait(0.01):
                    return None
            if self.path == "/hang":
                self.server.quiet.wait(30)
        except OSError:
            pass  # the reader went away
        return None

    def _send(self, number: int) -> None:
        data = encode_pixels(grey(number % 200 + 20), Codec.MJPEG)
        head = f"--shot\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
        self.wfile.write(head.encode() + data + b"\r\n")


@pytest.fixture
def camera() -> Iterator[Camera]:
    server = Camera()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.quiet.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_mjpeg_camera_is_read_in_its_colours(camera: Camera) -> None:
    reader = UrlReader(camera.url("/live"), max_pixels=MAX_PIXELS)
    values = [int(picture.pixels[10, 10, 0]) for picture in islice(iter(reader.read, None), 5)]
    reader.close()
    assert values == pytest.approx(range(values[0], values[0] + 5), abs=1)


def test_a_network_stream_that_ends_is_opened_again(camera: Camera, wait_until: WaitUntil) -> None:
    url, taken = camera.url("/three"), Taken()
    capture = Capture(lambda: UrlReader(url, max_pixels=MAX_PIXELS), wait_before=lambda: repeat(0.01))
    capture.open()
    capture.start(taken)
    wait_until(lambda: camera.visits >= 3 and len(taken.values) >= 6)
    capture.stop()
    assert capture.over.wait(5)


def test_a_network_stream_that_falls_silent_breaks_after_its_deadline(
    camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_READ_S", 0.3)
    reader = UrlReader(camera.url("/hang"), max_pixels=MAX_PIXELS)
    start_s = time.monotonic()
    with pytest.raises(SourceError, match="sends nothing"):
        while True:
            reader.read()
    assert time.monotonic() - start_s < 3
    reader.close()


def test_stop_does_not_wait_for_a_camera_that_fell_silent(camera: Camera, wait_until: WaitUntil) -> None:
    taken = Taken()
    capture = Capture(lambda: UrlReader(camera.url("/hang"), max_pixels=MAX_PIXELS))
    capture.open()
    capture.start(taken)
    wait_until(lambda: len(taken.values) >= 9)
    start_s = time.monotonic()
    capture.stop()
    assert time.monotonic() - start_s < 2
    camera.quiet.set()
    assert capture.over.wait(5)


def test_an_rtsp_camera_is_read_and_asked_again_when_it_falls_silent(
    tmp_path: Path, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_READ_S", 0.3)
    with RtspCamera(make_clip(tmp_path / "clip.ts", Clip(frames=40))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        taken = Taken()
        capture = Capture(lambda: UrlReader(server.url, max_pixels=MAX_PIXELS), wait_before=lambda: repeat(0.01))
        capture.open()
        capture.start(taken)
        wait_until(lambda: len(taken.values) > 30)
        wait_until(lambda: server.visits > 1 and len(taken.values) > 60, 10)
        capture.stop()
        assert capture.over.wait(5)
        server.quiet.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/page"], ids=["a page that is not there"])
def test_what_is_no_stream_is_refused_in_one_line(camera: Camera, path: str) -> None:
    with pytest.raises(UsageError, match=path) as refused:
        UrlReader(camera.url(path), max_pixels=MAX_PIXELS)
    assert "\n" not in str(refused.value)


def test_a_picture_over_the_limit_is_refused(camera: Camera) -> None:
    with pytest.raises(UsageError, match="larger than"):
        UrlReader(camera.url("/live"), max_pixels=1000)


def test_a_password_is_never_shown() -> None:
    with pytest.raises(UsageError) as refused:
        UrlReader("http://me:secret@127.0.0.1:1/live", max_pixels=MAX_PIXELS)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["nonsense", "file:///etc/passwd", "concat:a|b", "rtsp://", "http://host:port/x"])
def test_only_network_addresses_are_taken(url: str) -> None:
    with pytest.raises(UsageError, match="not an address"):
        require_url(url)
