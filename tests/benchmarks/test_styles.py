"""The styles' figures: distances by painter, parts measured one at a time, and what goes onto the cards."""

import json
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from benchmarks import style_distances, styles
from benchmarks.independent import Judge, Seen, quantiles
from benchmarks.pair_painters import painter_of, write_pictures
from benchmarks.style_measures import Pixels


class GreyJudge(Judge):
    """Sees grey values alone: enough for the arithmetic of a row."""

    def __init__(self) -> None:
        pass

    def look(self, picture: Pixels) -> Seen:
        flat = torch.from_numpy(cv2.resize(picture, (64, 48)).astype(np.float32)).flatten(0, 1).T
        return Seen({(0, "grey"): quantiles(flat)}, torch.nn.functional.normalize(flat, dim=0))


def _noise(seed: int, mean: int) -> Pixels:
    return np.random.default_rng(seed).normal(mean, 20, (480, 640, 3)).clip(1, 255).astype(np.uint8)


def test_a_row_stands_beside_the_untouched_photo_and_the_painting(tmp_path: Path) -> None:
    painting = tmp_path / "painting.png"
    cv2.imwrite(str(painting), _noise(1, 200))
    write_pictures({"x": _noise(1, 200)}, tmp_path / "copy")
    copier = painter_of(f"folder:{tmp_path / 'copy'}:{painting}", tmp_path)
    found = style_distances.measure({str(painting): [copier]}, {"x": _noise(2, 60)}, GreyJudge(), tmp_path)
    photo, copy = found
    assert photo.painter == "the photo"
    assert photo.content_distance == 0
    assert photo.product == pytest.approx(1 + photo.style_distance)
    assert copy.style_distance == pytest.approx(0, abs=1e-6)
    assert copy.content_distance > 0
    assert photo.style_distance > 10 * copy.halves
    assert "| the photo |" in style_distances.table([asdict(photo)])


def test_a_part_measured_anew_leaves_the_others_and_other_styles(tmp_path: Path) -> None:
    row = {
        "painter": "Power Painter",
        "sharpness": 80.0,
        "live_flicker": 1.0,
        "film_flicker": 1.0,
        "equal_flicker": None,
    }
    old = [{**row, "style": "wave", "flicker": 12.0}, {**row, "style": "starry", "flicker": 11.0}]
    styles.publish({"steadiness": old, "milliseconds": {"one": 1.0}, "megabytes": {"none": 2.0}}, tmp_path)
    found = styles.publish({"steadiness": [{**row, "style": "wave", "flicker": 9.0}]}, tmp_path)
    assert [each["flicker"] for each in found["steadiness"]] == [9.0, 11.0]
    assert found["milliseconds"] == {"one": 1.0}
    page = (tmp_path / "styles.md").read_text()
    assert "| Power Painter | wave | 9.00 |" in page
    assert "| Power Painter | starry | 11.00 |" in page
    assert "| one | 1.0 |" in page
    assert "style distance" not in page


def test_a_style_gets_its_own_figures_on_its_card(tmp_path: Path) -> None:
    (tmp_path / "wave.json").write_text('{"name": "wave", "measures": {"sharpness": 1.0}}')
    rows = [{"painter": painter, "style": "wave", "style_distance": far, "content_distance": 0.7}
            for painter, far in (("lite-of", 0.2), ("shipped", 0.1))]  # fmt: skip
    styles.put_on_cards({"distances": rows}, ["wave"], tmp_path)
    measures = json.loads((tmp_path / "wave.json").read_text())["measures"]
    assert measures == {"sharpness": 1.0, "style_distance": 0.1, "content_distance": 0.7}


def test_the_committed_page_is_made_from_the_committed_figures() -> None:
    found = json.loads((styles.OUT / "styles.json").read_text("utf-8"))
    assert (styles.OUT / "styles.md").read_text("utf-8") == styles.page(found)


def test_a_wrong_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        styles.main(["--only", "taste"])
    assert ended.value.code == 2
    assert "taste" in capsys.readouterr().err
