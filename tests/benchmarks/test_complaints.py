"""A row of complaints: shares of the painting's own figures, dark frames, and folders that lack them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import complaints, pairs
from benchmarks.judged_photos import CHOOSING, dark
from benchmarks.pair_painters import painter_of, write_pictures
from benchmarks.style_measures import Pixels


def _strokes(seed: int) -> Pixels:
    """Noise in bands of many widths, in colour, with one calm half."""
    rng = np.random.default_rng(seed)
    picture = np.full((480, 640, 3), 120, np.float32)
    for cells in (6, 30, 120):
        fine = rng.normal(0, 25, (cells * 3 // 4, cells, 3)).astype(np.float32)
        picture += cv2.resize(fine, (640, 480), interpolation=cv2.INTER_CUBIC)
    return picture.clip(0, 255).astype(np.uint8)


def test_a_painting_is_its_own_measure() -> None:
    photo, painting = np.full((480, 640, 3), 90, np.uint8), _strokes(1)
    row = complaints.complaints({"x": photo}, {"x": painting}, painting, {})
    assert (row.length, row.width, row.colours) == pytest.approx((1.0, 1.0, 1.0))
    assert (row.black, row.fade, row.bars) == (None, None, None)


def test_blots_are_counted_where_the_photo_is_flat_and_over_the_paintings_flat_areas() -> None:
    painting = _strokes(1)
    flat = complaints.measures.flat_of_painting(painting)
    photo = np.where(flat[..., None], np.uint8(90), _strokes(2))
    row = complaints.complaints({"x": photo}, {"x": painting}, painting, {})
    assert row.blots == pytest.approx(1.0, abs=0.3)
    twice = np.clip(2.0 * painting - 120, 0, 255).astype(np.uint8)
    stronger = complaints.complaints({"x": photo}, {"x": twice}, painting, {}).blots
    assert stronger is not None
    # Twice the height is four times the variance, less what is clipped.
    assert 2.5 < stronger / row.blots < 4.1


def test_dark_frames_are_measured_as_they_were_painted(tmp_path: Path) -> None:
    held_out = tmp_path / "photos" / "held-out"
    held_out.mkdir(parents=True)
    for name in CHOOSING:
        cv2.imwrite(str(held_out / f"data-{name}.jpg"), _strokes(3))
    pairs.main(["--materials", str(tmp_path), "photos", str(tmp_path / "given"), "--photos", "choosing", "dark"])
    given = dark(tmp_path)
    lifted = {name: np.maximum(frame, 30).astype(np.uint8) for name, frame in given.items()}
    lifted["fade-05"] = np.full_like(lifted["fade-05"], 120)
    folder = tmp_path / "made"
    write_pictures({name: _strokes(3) for name in CHOOSING} | lifted, folder)
    painter = painter_of(f"folder:{folder}", tmp_path)
    row = complaints.measure(painter, {name: _strokes(3) for name in CHOOSING}, given)
    assert (row.black, row.bars) == pytest.approx((30.0, 30.0))
    assert row.fade == pytest.approx(120 - float(complaints.measures.luma(lifted["fade-06"]).mean()))
    for name in given:
        (folder / f"{name}.png").unlink()
    assert complaints.measure(painter, {name: _strokes(3) for name in CHOOSING}, given).black is None


def test_a_wrong_painter_ends_with_one_line_and_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        complaints.main(["nobody"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("complaints: no painter 'nobody'")
