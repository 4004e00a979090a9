"""A large film through real workers: small on its way, whole in its file, with the strokes of a photo of its size."""

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from pipeline.protocol.frame import BRUSH_AS_SENT, Look
from producer.video import VideoSource
from tests.media import Clip, make_clip
from tests.system.conftest import Painter
from workers.styles import find_style, load_engine
from workers.stylize import stylize

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

Pixels = NDArray[np.uint8]


def pictures(path: Path) -> list[Pixels]:
    """A film's pictures by BT.709, as players take one of this size without tags; PyAV itself takes BT.601."""
    with av.open(str(path)) as container:
        return [
            np.asarray(frame.reformat(format="bgr24", src_colorspace=Colorspace.ITU709).to_ndarray(), np.uint8)
            for frame in container.decode(video=0)
        ]


def apart(one: Pixels, other: Pixels) -> float:
    """Mean difference of what is seen at a quarter of the size: encoders lose fine grain."""
    small = (one.shape[1] // 4, one.shape[0] // 4)
    return float(cv2.absdiff(*(cv2.resize(x, small, interpolation=cv2.INTER_AREA) for x in (one, other))).mean())


def test_a_large_films_strokes_are_those_of_a_photo(painter: Callable[..., Painter], tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "film.mp4", Clip(frames=4, width=1280, height=960))
    words = ("paint", clip, "--style", "starry", "--no-steady", "--workers", "1", "-o", tmp_path / "out.mp4", "--json")
    code, report, said = painter(*words).end()
    assert (code, report["frames"]) == (0, 4), said
    # What a source is by another matrix, or other rounding, gets other strokes.
    painted, source = pictures(tmp_path / "out.mp4")[1], list(VideoSource(clip).frames())[1].pixels
    assert painted.shape == (960, 1280, 3)
    engine = load_engine(find_style("starry"), "cpu", 1)
    photo, small_strokes = (
        stylize(engine, source, Look(brush=brush), tile_pixels=1 << 24) for brush in (1.0, BRUSH_AS_SENT)
    )
    assert apart(painted, photo) < 0.4 * apart(small_strokes, photo)
