"""Black frames, fades and bars come out black, as they are, whatever a style has learnt of light."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.protocol.frame import Look
from tests.media import texture
from workers.dark import kept_dark, leave_bars
from workers.styles import find_style, list_styles, load_engine
from workers.stylize import stylize

Pixels = NDArray[np.uint8]
SCENE = np.asarray(cv2.resize(texture(240, 320), (320, 240)), np.uint8)


def light(picture: Pixels) -> float:
    return float(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).mean())


@pytest.mark.parametrize("name", [style.name for style in list_styles()])
def test_a_black_frame_is_black_and_a_fade_rises(name: str) -> None:
    engine = load_engine(find_style(name), "cpu", 1)
    fade = [np.asarray(SCENE * (step / 12), np.uint8) for step in range(13)]
    lights = [light(stylize(engine, picture, Look(), tile_pixels=1 << 20)) for picture in fade]
    assert lights[0] <= 24
    assert all(after > before - 1 for before, after in pairwise(lights)), lights


@pytest.mark.parametrize("name", [style.name for style in list_styles()])
def test_what_is_black_within_a_picture_is_black(name: str) -> None:
    source = np.zeros((240, 320, 3), np.uint8)
    cv2.rectangle(source, (0, 0), (319, 239), (90, 90, 90), 2)
    cv2.rectangle(source, (130, 100), (190, 140), (250, 250, 250), -1)
    painted = stylize(load_engine(find_style(name), "cpu", 1), source, Look(), tile_pixels=1 << 20)
    assert light(painted[40:200, 40:80]) <= 24
    assert light(painted[110:130, 150:170]) > 60


def test_a_lit_picture_is_left_as_it_was_painted() -> None:
    painted = 255 - SCENE
    assert kept_dark(painted, np.maximum(SCENE, 40)) is painted


@pytest.mark.parametrize("upright", [False, True], ids=["above and below", "left and right"])
@pytest.mark.parametrize("is_luma", [False, True], ids=["colour", "luma"])
def test_bars_are_left_alone_to_the_pixel(*, upright: bool, is_luma: bool) -> None:
    source = np.maximum(SCENE, 30)
    source[:31] = source[-17:] = 3
    source = np.ascontiguousarray(source.transpose(1, 0, 2)) if upright else source
    painted = np.full_like(source, 200)
    leave_bars(painted, source[..., 0] if is_luma else source)
    found = painted.transpose(1, 0, 2) if upright else painted
    assert (found[:31] == 3).all() and (found[-17:] == 3).all()
    assert (found[31:-17] == 200).all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 40)], ids=str)
def test_the_smallest_black_pictures_pass(shape: tuple[int, int]) -> None:
    source = np.zeros((*shape, 3), np.uint8)
    painted = np.full_like(source, 90)
    assert kept_dark(painted, source).max() == 0
    leave_bars(painted, source)
    assert painted.max() == 0
