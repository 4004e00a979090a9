"""Painted films as pictures alone: animated GIF, WebP and PNG, or numbered PNG files; made from the lossless segments.

Invariant: each picture is shown as long as in the source, to the format's tick; under the final name there is a whole
file, or of numbered pictures the first one only once all are there.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # isort: skip
import av
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.ffmpeg import file_url
from viewer.remux import Join, end_of
from viewer.source_file import Origin

_NUMBER = re.compile(r"%(0\d+)?d")
# Browsers show a GIF's picture of a hundredth of a second for a tenth.
_LEAST_GIF_TICKS = 2
_TICKS = {"gif": Fraction(1, 100), "webp": Fraction(1, 1000), "apng": Fraction(1, 1000)}
# FFmpeg's encoder, its pixels, and options; all repeat for ever.
_ENCODERS = {
    "gif": ("gif", "pal8", {}),
    "webp": ("libwebp_anim", "bgra", {"quality": "90"}),
    "apng": ("apng", "rgb24", {"pred": "mixed"}),
}
_REPEAT = {"gif": {"loop": "0"}, "webp": {"loop": "0"}, "apng": {"plays": "0"}}

_Timed = tuple[int, VideoFrame]


def is_numbered(output: Path) -> bool:
    """Say whether an output names numbered pictures, such as `%05d.png`."""
    return output.suffix.lower() == ".png" and _NUMBER.search(output.name) is not None


def numbered(output: Path, number: int) -> Path:
    """Return the path of picture `number`, from 1."""
    return output.with_name(_NUMBER.sub(lambda match: match.group() % number, output.name))


def is_among(path: Path, output: Path) -> bool:
    """Say whether `path` is one of the numbered pictures that `output` names."""
    digits = next(iter(re.findall(r"\d+", path.name[len(output.name.partition("%")[0]) :])), "")
    return bool(digits) and path.parent == output.parent and numbered(output, int(digits)).name == path.name


def write_animation(job: Join, origin: Origin, target: Path) -> None:
    """Write the segments' pictures to `target` in `job.container`. Raises OSError or `av.FFmpegError`."""
    if job.container == "image2":
        _write_numbered(job, target)
        return
    tick = _TICKS[job.container]
    first, end = job.segments[0].first_pts, end_of(job, origin)
    last = _at(job.segments[-1].last_pts - first, origin, tick)
    length = max(1, _at(end - first, origin, tick) - last)
    with _writer(job, origin, tick, length) as (out, stream):
        for at, picture in _palettised(job, origin, tick) if job.container == "gif" else _pictures(job, origin, tick):
            name = _ENCODERS[job.container][1]
            shown = picture if picture.format.name == name else picture.reformat(format=name)
            shown.pts, shown.time_base = at, tick
            out.mux(stream.encode(shown))
        out.mux(stream.encode(None))
    if job.container == "webp":
        _set_last_length(job.target, length)
    job.target.replace(target)


@contextmanager
def _writer(
    job: Join, origin: Origin, tick: Fraction, length: int
) -> Iterator[tuple[av.container.OutputContainer, VideoStream]]:
    """Open the target. `length`: how long the last picture is shown, in ticks."""
    name, pix_fmt, options = _ENCODERS[job.container]
    muxing = dict(_REPEAT[job.container])
    if job.container != "webp":
        muxing["final_delay"] = str(length) if job.container == "gif" else f"{length}/{1 / tick}"
    with av.open(file_url(job.target), "w", format=job.container, container_options=muxing) as out:
        stream = out.add_stream(name, rate=origin.info.rate or Fraction(25), options=dict(options))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = origin.info.width, origin.info.height
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = stream.time_base = tick
        yield out, stream


def _set_last_length(path: Path, length_ms: int) -> None:
    """Write how long a WebP's last picture is shown: its encoder puts the mean of the others.

    RIFF: chunks of name, size (little endian) and content, padded to even; of `ANMF` bytes 12 to 14 are the length.
    """
    with path.open("r+b") as file:
        at, last = 12, None
        while len(header := file.read(8) if file.seek(at) else b"") == 8:
            last = at if header[:4] == b"ANMF" else last
            size = int.from_bytes(header[4:], "little")
            at += 8 + size + size % 2
        if last is not None:
            file.seek(last + 8 + 12)
            file.write(length_ms.to_bytes(3, "little"))


def _decoded(job: Join) -> Iterator[tuple[int, VideoFrame]]:
    """Yield each painted picture with its pts in the source's ticks."""
    for segment in job.segments:
        with av.open(file_url(job.folder / segment.file)) as container:
            video = container.streams.video[0]
            for picture in container.decode(video):
                yield segment.first_pts, picture


def _pictures(job: Join, origin: Origin, tick: Fraction) -> Iterator[_Timed]:
    """Yield the pictures with their times in ticks from the first on; those that a format cannot show apart go."""
    begin, least = job.segments[0].first_pts, _LEAST_GIF_TICKS if job.container == "gif" else 1
    last: int | None = None
    for first_pts, picture in _decoded(job):
        at_s = (first_pts - begin) * origin.info.time_base + (picture.pts or 0) * (picture.time_base or 0)
        at = round(at_s / tick)
        if last is None or at - last >= least:
            last = at
            yield at, picture


def _palettised(job: Join, origin: Origin, tick: Fraction) -> Iterator[_Timed]:
    """Yield the pictures in the 256 colours that fit each best: a film's own would lack what few pictures show."""
    graph = Graph()
    film = graph.add_buffer(
        width=origin.info.width, height=origin.info.height, format=VideoFormat("bgr0"), time_base=tick
    )
    both, use = graph.add("split"), graph.add("paletteuse", "new=1:dither=sierra2_4a")
    palette = graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
    film.link_to(both)
    both.link_to(palette, 0, 0)
    both.link_to(use, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(graph.add("buffersink"))
    graph.configure()
    for at, picture in _pictures(job, origin, tick):
        picture.pts, picture.time_base = at, tick
        graph.push(picture)
        yield from _shown(graph)
    graph.push(None)
    yield from _shown(graph)


def _shown(graph: Graph) -> Iterator[_Timed]:
    """Yield what the graph has ready."""
    while True:
        try:
            picture = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        if isinstance(picture, VideoFrame):
            yield picture.pts or 0, picture


def _at(ticks: int, origin: Origin, tick: Fraction) -> int:
    return round(ticks * origin.info.time_base / tick)


def _write_numbered(job: Join, output: Path) -> None:
    """Write PNG files beside the segments, then move all: the first one last, so that it says they are whole."""
    output.parent.mkdir(exist_ok=True)
    count = 0
    for count, (_, picture) in enumerate(_decoded(job), 1):
        path = job.folder / f"picture{count}.png"
        if not cv2.imwrite(str(path), picture.to_ndarray(format="bgr24"), [cv2.IMWRITE_PNG_COMPRESSION, 3]):
            raise OSError(f"{path.name} cannot be written; is the disk full?")
    for number in range(count, 0, -1):
        (job.folder / f"picture{number}.png").replace(numbered(output, number))
