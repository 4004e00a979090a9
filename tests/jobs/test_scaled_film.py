"""Films larger than a camera's picture: small on the wire, written at their size, with all a look asks for."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from jobs.batch import Options, open_input
from jobs.scaled_film import ScaledFilm, sent_size
from pipeline.process.config import settings
from pipeline.protocol.frame import BRUSH_AS_SENT, Frame, Landmark, Look, StreamInfo
from tests.media import Clip, make_clip, texture
from viewer.segments import SinkOptions
from viewer.sink import Sink

HD = StreamInfo(1280, 720, Fraction(1, 25))
SIZE = (853, 480)
Pixels = NDArray[np.uint8]


def picture(seed: int) -> Pixels:
    """A 720p picture with something to see everywhere."""
    return np.asarray(cv2.resize(texture(360, 512, seed=seed), (HD.width, HD.height)), np.uint8)


class Film:
    """A source of `count` textured frames that notes where it was asked to begin."""

    info = HD

    def __init__(self, count: int = 4) -> None:
        self.count, self.began = count, -1

    def frames(self, start: int = 0, landmark: Landmark | None = None) -> Iterator[Frame]:
        self.began = start
        for seq in range(start, self.count):
            yield Frame(seq, seq, picture(seq))

    def close(self) -> None:
        pass


class Written:
    """A sink that keeps what is written."""

    def __init__(self) -> None:
        self.frames: dict[int, Pixels] = {}
        self.asked: list[str] = []

    def write(self, frame: Frame) -> None:
        self.frames[frame.seq] = frame.pixels

    def __getattr__(self, name: str) -> Any:
        return lambda: self.asked.append(name)


def paint(look: Look, film: Film | None = None, start: int = 0) -> tuple[dict[int, Pixels], ScaledFilm]:
    """Have each frame inverted at the size it is sent."""
    scaled, sink = ScaledFilm(film or Film(), SIZE, look, denoise=False), Written()
    writes = scaled.sink_for(cast(Sink, sink))
    for frame in list(scaled.frames(start)):
        assert frame.pixels.shape == (480, 853, 3)
        writes.write(replace(frame, pixels=255 - frame.pixels))
    writes.finish()
    assert sink.asked == ["finish"]
    return sink.frames, scaled


@pytest.mark.parametrize(
    ("info", "look", "size"),
    [
        (HD, Look(), SIZE),
        (HD, Look(brush=2.0), (427, 240)),
        (HD, Look(brush=0.5), None),
        (HD, Look(strength=0.0), None),
        (StreamInfo(640, 480, Fraction(1, 25)), Look(), None),
        (StreamInfo(0, 0, Fraction(1)), Look(brush=2.0), None),
    ],
    ids=["720p", "larger strokes", "smaller strokes", "the source itself", "a camera's size", "photos"],
)
def test_only_films_painted_smaller_are_sent_smaller(
    info: StreamInfo, look: Look, size: tuple[int, int] | None
) -> None:
    assert sent_size(info, look) == size


def test_frames_travel_small_and_are_written_at_their_size() -> None:
    found, scaled = paint(Look())
    assert [found[seq].shape for seq in range(4)] == [(720, 1280, 3)] * 4
    for seq, written in found.items():
        assert cv2.absdiff(written, 255 - picture(seq)).mean() < 6
    assert scaled.sent_look == Look(brush=BRUSH_AS_SENT)


def test_strength_and_kept_colours_are_of_the_whole_source() -> None:
    source = picture(0)
    half = paint(Look(strength=0.5))[0][0]
    # A picture and its negative in equal parts: at the source's full sharpness no edge is left over.
    assert np.abs(half.astype(int) - 127).mean() < 4
    kept = cv2.cvtColor(paint(Look(keep_colours=True))[0][0], cv2.COLOR_BGR2YCrCb)
    assert cv2.absdiff(kept, cv2.cvtColor(source, cv2.COLOR_BGR2YCrCb))[..., 1:].mean() < 2


def test_sources_of_frames_that_are_not_written_are_let_go() -> None:
    scaled = ScaledFilm(Film(9), SIZE, Look(), denoise=False)
    paintings = [frame.pixels for frame in scaled.frames()]
    scaled.enlarge(8, paintings[8])
    assert scaled._sources == {}


def test_noise_is_taken_out_from_some_frames_before_the_first() -> None:
    film = Film(40)
    scaled = ScaledFilm(film, SIZE, Look(), denoise=True)
    assert [frame.seq for frame in scaled.frames(30)] == list(range(30, 40))
    assert film.began == 14


@pytest.mark.parametrize("side", [480, 482])
def test_a_batch_reads_what_is_too_large_scaled(tmp_path: Path, side: int) -> None:
    clip = make_clip(tmp_path / "film.mp4", Clip(frames=2, width=side, height=side))
    source = open_input(clip, Options(Look(), SinkOptions()), settings())
    assert isinstance(source, ScaledFilm) == (side > 480)
    assert next(iter(source.frames())).pixels.shape == (480, 480, 3)
    assert (source.info.width, source.info.height) == (side, side)
