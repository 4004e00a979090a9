"""Videos as people have them come out whole: every picture once, at its time, in its colours, also after a break.

No painter takes part: what is read goes straight into the sink, as at strength 0. Other programs judge the output.
"""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from pipeline.protocol.frame import Frame, Landmark
from producer.source import open_source
from tests.independent import pictures, probe, shown
from tests.real_inputs import CASES, Case
from tests.viewer.copying import copy
from viewer.segments import SinkOptions

pytestmark = pytest.mark.slow

OPTIONS = SinkOptions(painting="test", crf=2, segment_frames=16)


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    """One kind of input."""
    return CASES[request.param]


@pytest.fixture(scope="module")
def video(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its file, made once."""
    return case.file(tmp_path_factory.mktemp("input"))


def test_every_picture_comes_out_at_its_time_in_its_colours(case: Case, video: Path, tmp_path: Path) -> None:
    output = copy(video, tmp_path / "output.mp4", OPTIONS)
    found = shown(output)
    wanted = case.shown if case.shown is not None else [picture.at_s for picture in shown(video)]
    # Broadcasts begin anywhere; the output begins where it did, or at 0.
    base = wanted[0] - found[0].at_s
    assert [round(float(picture.at_s + base), 4) for picture in found] == [round(float(at), 4) for at in wanted]
    length_s = Fraction(probe(output)["streams"][0]["duration"])
    if case.length_s is not None:
        assert float(length_s) == pytest.approx(float(case.length_s), abs=0.0015)
    assert _colour_difference(video, output) <= 1.0


def test_a_resumed_reading_gives_the_same_pictures(video: Path) -> None:
    source = open_source(video)
    every = list(source.frames())
    for at in {0, len(every) // 3, len(every) - 1}:
        landmark = Landmark(at, every[at].pts)
        for start in {0, max(0, at - 5), at + 1}:
            again = list(source.frames(start, landmark))
            assert [(frame.seq, frame.pts) for frame in again] == [(frame.seq, frame.pts) for frame in every[start:]]
            assert all(_same(one, other) for one, other in zip(again, every[start:], strict=True))


def _same(one: Frame, other: Frame) -> bool:
    return bool(np.array_equal(one.pixels, other.pixels))


def _colour_difference(video: Path, output: Path) -> float:
    """Return the mean difference of the pictures, of 255, as ffmpeg and Pillow see both files."""
    if video.suffix in (".gif", ".webp", ".png", ".avif"):
        with Image.open(video) as image:
            before = np.stack([np.asarray(picture.convert("RGB")) for picture in ImageSequence.Iterator(image)])
    else:
        before = pictures(video)
    after = pictures(output)
    # An odd size is written with one row or column more.
    after = after[:, : before.shape[1], : before.shape[2]]
    assert before.shape == after.shape
    return float(np.abs(before.astype(int) - after).mean())
