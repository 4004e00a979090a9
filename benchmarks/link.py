"""The page over a thin line: a real Chromium with a fake camera, the server behind a relay that shapes the line.

The camera plays a film that is painted already, in the busiest style, and the painters hand it on: what goes up and
down looks like a painting, and nobody waits for a painter. Each line is measured with the page as it is and with one
that says nothing of itself (`?video=off`), which gets everything as it was painted, two pictures at a time.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # isort: skip
import av
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.harness import HEIGHT, WIDTH, Plan, harness, percentiles, root
from benchmarks.thin_line import Shape, thin_line
from pipeline.errors import PipelineError, UsageError
from pipeline.protocol.codec import encode_pixels
from pipeline.protocol.frame import Codec, Look
from pipeline.protocol.wire import Limits
from pipeline.server.broker import Broker
from producer.page_streams import PageStreams
from viewer.broadcast import Broadcast
from viewer.picture_coder import CodedPicture, PageCodec, make_coder
from viewer.ports import JobStatus
from viewer.server import PageServer
from viewer.web.app_state import Parts, StyleCard
from viewer.web.security import make_access

_STYLE = "test-identity"
_WORKERS = 2
_FPS = 24
_SETTLE_S = 6.0
_START_S = 30.0
_RATES_BPS = (1e6, 2e6, 4e6, 6e6)
#: Name of a line → its shape, and which pages are measured on it (their `?video=`; "" as a visitor has it).
_LINES: dict[str, tuple[Shape, Sequence[str]]] = {
    "loopback": (Shape(), ("off", "")),
    "8 Mbit/s, 20 ms": (Shape(8e6, 0.02), ("off", "", "vp8", "jpeg")),
    "2 Mbit/s, 60 ms": (Shape(2e6, 0.06), ("off", "", "jpeg")),
    "40 ms, 1 % lost": (Shape(20e6, 0.04, 0.01), ("off", "")),
}
# Counts in the page, so that a picture's way is not lengthened by who measures it.
_COUNTER = """
window.counted = {drawn: [], down: 0, up: 0, codecs: {}, since: 0};
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
  if (typeof data === "string") {
    const said = JSON.parse(data);
    if (said.type === "drawn") window.counted.drawn.push([performance.now(), said.delay_ms, said.stream]);
  } else window.counted.up += data.size ?? data.byteLength;
  return send.call(this, data);
};
const Socket = WebSocket;
window.WebSocket = class extends Socket {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", ({data}) => { if (typeof data !== "string") window.counted.down += data.size; });
  }
};
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a page drew in `seconds`: when and how late, in ms, and the bytes of pictures both ways."""

    seconds: float
    drawn: list[tuple[float, float, str]]
    down_bytes: int
    up_bytes: int
    picture: str


def measure(plan: Plan) -> dict[str, object]:
    """Return what each codec makes of a painting, and rate, delay and Mbit/s of each page on each line."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise UsageError("the section link needs a browser: apt-get install chromium")
    seconds = 4.0 if plan.quick else 12.0
    found: dict[str, object] = {"quality": quality(list(clip_frames(plan.clip) if plan.clip else made_frames()))}
    with TemporaryDirectory() as folder, harness(_STYLE, _WORKERS) as on:
        camera = Path(folder) / "camera.mjpeg"
        write_camera(plan.clip, camera)
        with (
            page_server(on.broker, [_STYLE], Path(folder)) as port,
            browser(chromium, camera) as opened,
        ):
            for name, (shape, videos) in _LINES.items():
                for video in videos:
                    title = f"{name}, {_words(video)}"
                    plan.say(title)
                    with thin_line(port, shape) as near:
                        found[title] = figures(watch(opened, f"http://127.0.0.1:{near}/?video={video}", seconds))
    return found


def quality(frames: Sequence[NDArray[np.uint8]]) -> dict[str, object]:
    """Return, for each codec and rate, PSNR against the painted picture in dB, Mbit/s, and CPU ms a picture."""
    painted = [encode_pixels(frame, Codec.MJPEG, quality=95) for frame in frames]
    found: dict[str, object] = {"as painted": {"mbit_s": round(_mbit_s(painted), 2)}}
    for codec in PageCodec:
        for rate_bps in _RATES_BPS:
            coder, began_s = make_coder(codec, Fraction(1), _FPS), time.thread_time()
            coded = [coder.code(jpeg, n * 1000 // _FPS, rate_bps, key=n == 0) for n, jpeg in enumerate(painted)]
            cpu_s = time.thread_time() - began_s
            # The first second holds the key frame, and the way to the rate.
            settled = slice(_FPS, None)
            likeness = [cv2.PSNR(shown, frame) for shown, frame in zip(_decoded(codec, coded), frames, strict=True)]
            found[f"{codec}, {rate_bps / 1e6:.0f} Mbit/s"] = {
                "psnr_db": round(float(np.mean(likeness[settled])), 1),
                "mbit_s": round(_mbit_s([one.data for one in coded[settled]]), 2),
                "cpu_ms": round(cpu_s * 1000 / len(frames), 2),
            }
    return found


def _mbit_s(pictures: Sequence[bytes]) -> float:
    return sum(map(len, pictures)) * 8 * _FPS / len(pictures) / 1e6


def _decoded(codec: PageCodec, coded: Sequence[CodedPicture]) -> Iterator[NDArray[np.uint8]]:
    context = None if codec is PageCodec.MJPEG else av.CodecContext.create(codec.value, "r")
    for one in coded:
        if isinstance(context, av.VideoCodecContext):
            (frame,) = context.decode(av.Packet(one.data))
            yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
        else:
            yield np.asarray(cv2.imdecode(np.frombuffer(one.data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def _words(video: str) -> str:
    return {"off": "as before", "": "adapting", "jpeg": "adapting, JPEG only", "vp8": "adapting, VP8"}[video]


@contextmanager
def page_server(broker: Broker, styles: Sequence[str], uploads: Path) -> Iterator[int]:
    """Yield the port of a page server that offers `styles`; it takes no files."""
    limits = Limits(1 << 24, 1 << 24)
    broadcast = Broadcast(broker.transport, limits=limits)
    intake = PageStreams(broker.transport, broker.pack, limits)
    cards = {style: StyleCard(style) for style in styles}
    access = make_access("127.0.0.1", "", secure=False, names=())
    parts = Parts(access, broadcast, intake, _NoUploads(), cards, root() / "viewer" / "static", uploads)
    server = PageServer(parts, "127.0.0.1", 0)
    broadcast.start()
    server.start()
    try:
        yield server.port
    finally:
        server.stop()
        broadcast.stop()


class _NoUploads:
    """Takes no files."""

    def submit(self, source: Path, name: str, style: str, look: Look, owner: str = "") -> str:
        """Refuse."""
        raise UsageError("no files here")

    def jobs(self) -> list[JobStatus]:
        """Return none."""
        return []

    def cancel(self, job: str) -> bool:
        """Know none."""
        return False


@contextmanager
def browser(chromium: str, camera: Path) -> Iterator[Browser]:
    """Yield a Chromium whose camera plays `camera`."""
    arguments = [
        "--no-sandbox",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    ]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield opened
        opened.close()


def watch(opened: Browser, url: str, seconds: float, keys: Sequence[str] = ()) -> Seen:
    """Start the camera on the page at `url`, let it settle, and count for `seconds`."""
    page = opened.new_page(viewport={"width": 960, "height": 640})
    try:
        page.add_init_script(_COUNTER)
        page.goto(url)
        page.get_by_role("button", name="Start the camera").first.click()
        for key in keys:
            page.keyboard.press(key)
        _until_drawn(page)
        time.sleep(_SETTLE_S)
        page.evaluate("Object.assign(window.counted, {drawn: [], down: 0, up: 0})")
        page.keyboard.press("i")
        time.sleep(seconds)
        counted: dict[str, Any] = page.evaluate("window.counted")
        picture = page.locator("#line-picture").text_content() or ""
        up = page.locator("#line-up").text_content() or ""
    finally:
        page.close()
    return Seen(
        seconds, [tuple(one) for one in counted["drawn"]], counted["down"], counted["up"], f"{picture}; up {up}"
    )


def _until_drawn(page: Page) -> None:
    # The page's policy forbids what `wait_for_function` does.
    end_s = time.monotonic() + _START_S
    while not page.evaluate("window.counted.drawn.length"):
        if time.monotonic() > end_s:
            raise PipelineError(f"nothing was drawn within {_START_S:.0f} s")
        time.sleep(0.1)


def figures(seen: Seen) -> dict[str, object]:
    """Return what the table shows of it."""
    times_ms = [at for at, _, _ in seen.drawn]
    stalls = np.diff(times_ms) if len(times_ms) > 1 else np.array([seen.seconds * 1000])
    return {
        "fps": round(len(times_ms) / seen.seconds, 1),
        "delay_ms": percentiles([delay for _, delay, _ in seen.drawn if delay is not None] or [0.0]),
        "longest_pause_ms": round(float(stalls.max())),
        "down_mbit_s": round(seen.down_bytes * 8 / seen.seconds / 1e6, 2),
        "up_mbit_s": round(seen.up_bytes * 8 / seen.seconds / 1e6, 2),
        "picture": seen.picture,
    }


def write_camera(clip: Path | None, target: Path) -> None:
    """Write three seconds of `clip`, or of a picture with things in it that move, as MJPEG for Chromium's camera."""
    with target.open("wb") as output:
        for pixels in clip_frames(clip) if clip else made_frames():
            output.write(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())


def clip_frames(clip: Path, most: int = 120) -> Iterator[NDArray[np.uint8]]:
    """Yield the first frames of a film at 640×480."""
    with av.open(str(clip)) as film:
        for number, frame in enumerate(film.decode(video=0)):
            if number >= most:
                return
            yield np.asarray(cv2.resize(frame.to_ndarray(format="bgr24"), (WIDTH, HEIGHT)), np.uint8)


def made_frames() -> Iterator[NDArray[np.uint8]]:
    """Yield three seconds of strokes that drift, as busy as a painting."""
    rng = np.random.default_rng(7)
    noise = rng.integers(0, 256, (HEIGHT + 120, WIDTH + 120, 3), np.uint8)
    strokes = cv2.GaussianBlur(noise, (0, 0), 2).astype(np.float32)
    strokes = (strokes - strokes.min()) * (235 / np.ptp(strokes))
    for index in range(3 * _FPS):
        turn = 2 * np.pi * index / (3 * _FPS)
        left, top = int(60 + 50 * np.cos(turn)), int(60 + 50 * np.sin(turn))
        yield np.ascontiguousarray(strokes.astype(np.uint8)[top : top + HEIGHT, left : left + WIDTH])
