"""How a batch reads its sources: without their noise, unless they are to come through as they are."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from jobs.options import Options, open_input
from pipeline.process.config import settings
from pipeline.protocol.frame import Look, StreamInfo
from tests.media import Clip, make_clip
from viewer.segments import SinkOptions
from workers.styles import find_style


@pytest.mark.parametrize(
    ("look", "steady", "is_as_filmed"),
    [(Look(), True, False), (Look(), False, True), (Look(strength=0.0), True, True)],
    ids=["painted", "no steady", "the source itself"],
)
def test_noise_is_taken_out_of_what_is_painted(tmp_path: Path, look: Look, *, steady: bool, is_as_filmed: bool) -> None:
    clip = make_clip(tmp_path / "film.mp4", Clip(frames=2))
    filmed, read = (
        list(open_input(clip, Options(look, SinkOptions(), steady=kept), settings()).frames())
        for kept, look in ((False, look), (steady, look))
    )
    assert np.array_equal(filmed[1].pixels, read[1].pixels) == is_as_filmed


@pytest.mark.parametrize(
    ("look", "steady", "width", "is_held"),
    [
        (Look(), True, 64, True),
        (Look(), False, 64, False),
        (Look(strength=0.0), True, 64, False),
        (Look(), True, 0, False),
    ],
    ids=["a film", "no steady", "the source itself", "photos"],
)
def test_what_is_held_together(look: Look, *, steady: bool, width: int, is_held: bool) -> None:
    info = StreamInfo(width, width, Fraction(1, 25))
    assert Options(look, SinkOptions(), steady=steady).is_smoothed(info) == is_held


def test_a_job_goes_on_only_where_the_same_is_painted() -> None:
    style, sink = find_style("wave"), SinkOptions()
    steady, as_filmed = (Options(Look(), sink, steady=kept).painting(style) for kept in (True, False))
    assert steady != as_filmed
    source = [Options(Look(strength=0.0), sink, steady=kept).painting(style) for kept in (True, False)]
    assert source[0] == source[1]
