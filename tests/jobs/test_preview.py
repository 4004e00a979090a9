"""One picture of a film in seconds, before an hour is spent on it."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from commands.preview import draw_previews
from jobs.inputs import OwnOutputs, gather
from jobs.painting import Request
from pipeline.errors import UsageError
from pipeline.process.config import settings
from pipeline.protocol.frame import Look
from tests.media import Clip, make_clip
from workers.styles import find_styles


def preview(film: Path, at_s: float, output: Path | None = None, look: Look | None = None) -> list[Path]:
    request = Request([str(film)], find_styles(["wave"]), output)
    return list(draw_previews(request, look or Look(strength=0.0), at_s, settings()))


def test_the_moment_asked_for_is_painted_in_each_style_beside_the_film(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", Clip(frames=50))
    (found,) = preview(film, 1.0)
    assert found == tmp_path / "film.wave.preview.png"
    shown = cv2.imread(str(found))
    capture = cv2.VideoCapture(str(film))
    frames = [capture.read()[1] for _ in range(50)]
    capture.release()
    differences = [float(np.abs(frame.astype(int) - shown).mean()) for frame in frames]
    assert int(np.argmin(differences)) == 25, "1 s of 25 frames a second"
    assert min(differences) < 3
    (painted,) = preview(film, 1.0, tmp_path / "new", Look())
    assert painted.parent == tmp_path / "new"
    assert np.abs(cv2.imread(str(painted)).astype(int) - shown).mean() > 10
    # It is no source of the next command.
    assert gather([str(tmp_path / "*")], OwnOutputs(["wave"]), lambda text: None).sources == [film]


@pytest.mark.parametrize(("at_s", "output"), [(60.0, None), (1.0, "out.mp4")], ids=["behind the end", "a film"])
def test_what_cannot_be_shown_is_refused(tmp_path: Path, at_s: float, output: str | None) -> None:
    film = make_clip(tmp_path / "film.mp4", Clip(frames=50))
    with pytest.raises(UsageError):
        preview(film, at_s, tmp_path / output if output else None)
