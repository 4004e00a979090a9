"""A video without its noise: what stands still is averaged, what moves is as filmed, and numbers and times stay."""

import json
import os
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from producer.denoise import TemporalDenoiser
from producer.source import open_source
from tests.media import Clip, make_clip, rms

HEIGHT, WIDTH = 48, 64
SCRIPT = Path(__file__).parents[2] / "viewer" / "static" / "denoise.js"
NODE = shutil.which("node")
Pixels = NDArray[np.uint8]


def noisy(pixels: Pixels, rng: np.random.Generator, deviation: float = 3.0) -> Pixels:
    return np.asarray(np.clip(pixels + rng.normal(0, deviation, pixels.shape), 0, 255).round(), np.uint8)


def scene() -> Pixels:
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    return np.stack([60 + columns, 60 + rows, 90 + columns + rows], -1).astype(np.uint8)


def with_block(left: int) -> Pixels:
    pixels = scene()
    pixels[16:32, left : left + 12] = 230
    return pixels


def settled(pictures: list[Pixels]) -> list[Pixels]:
    denoiser = TemporalDenoiser()
    return [denoiser.apply(pixels).copy() for pixels in pictures]


def changes(pictures: list[Pixels]) -> float:
    """How much a picture differs from the one before, once the first have settled."""
    return float(np.mean([rms(a, b) for a, b in pairwise(pictures[12:])]))


@pytest.mark.parametrize("deviation", [1.5, 3.0])
def test_noise_goes_where_nothing_moves(deviation: float) -> None:
    rng = np.random.default_rng(1)
    filmed = [noisy(scene(), rng, deviation) for _ in range(30)]
    found = settled(filmed)
    assert changes(found) < 0.4 * changes(filmed)
    assert rms(found[-1], scene()) < 0.8 * rms(filmed[-1], scene())


def test_what_moves_is_as_filmed_and_leaves_nothing_behind() -> None:
    filmed = [with_block(3 * n) for n in range(16)]
    for found, wanted in zip(settled(filmed), filmed, strict=True):
        assert np.array_equal(found, wanted)


def test_what_moves_in_noise_leaves_nothing_behind() -> None:
    rng = np.random.default_rng(1)
    found = settled([noisy(with_block(3 * n), rng) for n in range(16)])
    ahead = found[-1][16:32, 45:57].astype(float)
    assert np.abs(ahead.mean() - 230) < 1
    passed = found[-1][16:32, :36].astype(float)
    assert np.abs(passed - scene()[16:32, :36]).mean() < 4


def test_a_picture_that_moves_as_a_whole_is_not_taken_for_noise() -> None:
    texture = np.random.default_rng(1).integers(40, 200, (HEIGHT, 4 * WIDTH, 3)).astype(np.uint8)
    filmed = [texture[:, 2 * n : 2 * n + WIDTH] for n in range(20)]
    for found, wanted in zip(settled(filmed), filmed, strict=True):
        assert np.array_equal(found, wanted)


def test_a_cut_and_another_size_come_through_at_once() -> None:
    dark, light = np.full((HEIGHT, WIDTH, 3), 30, np.uint8), np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    smaller = np.full((20, 30, 3), 201, np.uint8)
    for found, wanted in zip(settled([dark, light, smaller]), [dark, light, smaller], strict=True):
        assert np.array_equal(found, wanted)


def test_bars_do_not_hide_the_noise() -> None:
    rng = np.random.default_rng(1)
    filmed = [noisy(scene(), rng) for _ in range(30)]
    for pixels in filmed:
        pixels[:8] = pixels[-8:] = 0
    assert changes(settled(filmed)) < 0.4 * changes(filmed)


def test_one_bright_pixel_that_moves_is_as_filmed() -> None:
    filmed = [scene() for _ in range(20)]
    for n, pixels in enumerate(filmed):
        pixels[20, 10 + 2 * n] = 250
    for found, wanted in zip(settled(filmed), filmed, strict=True):
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize("step", [0.5, 1.0, 2.0, 5.0])
def test_a_fade_goes_on_evenly(step: float) -> None:
    rng = np.random.default_rng(1)
    filmed = [noisy(np.asarray(scene() * (1 - step * n / 255), np.uint8), rng, 1.5) for n in range(30)]
    found, wanted = (np.array([pixels.mean() for pixels in pictures]) for pictures in (settled(filmed), filmed))
    assert np.abs(found - wanted).max() < 1
    assert np.abs(np.diff(found) - np.diff(wanted)).max() < 0.5


def test_a_camera_that_adjusts_its_exposure_does_not_bring_the_noise_back() -> None:
    rng = np.random.default_rng(1)
    filmed = [noisy(np.asarray(scene() * (0.6 + 0.01 * n), np.uint8), rng) for n in range(30)]
    assert changes(settled(filmed)) < 0.6 * changes(filmed)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 200, 3), (17, 5, 3), (46, 67, 3)])
def test_any_size_is_settled(shape: tuple[int, int, int]) -> None:
    filmed = [np.full(shape, 90, np.uint8) for _ in range(6)]
    for n, pixels in enumerate(filmed):
        pixels[-1, -1] = pixels[0, -1] = pixels[-1, 0] = 90 + 150 * (n % 2)
    for found, wanted in zip(settled(filmed), filmed, strict=True):
        assert np.array_equal(found, wanted)


def test_a_film_keeps_its_frames_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mp4", Clip(frames=40))
    plain, steady = (list(open_source(path, steady=steady).frames()) for steady in (False, True))
    assert [(frame.seq, frame.pts) for frame in steady] == [(frame.seq, frame.pts) for frame in plain]
    # The clip's red rises by 5 a picture.
    assert 0 < max(rms(a.pixels, b.pixels) for a, b in zip(plain, steady, strict=True)) < 5
    resumed = list(open_source(path, steady=True).frames(30))
    assert [frame.seq for frame in resumed] == list(range(30, 40))
    assert max(rms(a.pixels, b.pixels) for a, b in zip(steady[30:], resumed, strict=True)) < 1


def test_photos_are_left_alone(tmp_path: Path) -> None:
    for name, brighter in (("a.png", 0), ("b.png", 2)):
        cv2.imwrite(str(tmp_path / name), scene() + np.uint8(brighter))
    frames = list(open_source(tmp_path, steady=True).frames())
    assert [np.array_equal(frame.pixels, scene() + 2 * frame.seq) for frame in frames] == [True, True]


@pytest.mark.skipif(NODE is None and "CI" not in os.environ, reason="node is not installed")
@pytest.mark.parametrize("cut", [0, 3])
def test_the_page_does_the_same(tmp_path: Path, cut: int) -> None:
    rng = np.random.default_rng(1)
    pictures = [noisy(with_block(2 * n), rng, 2.0) for n in range(24)]
    filmed = [np.ascontiguousarray(pixels[cut:, cut:]) for pixels in pictures]
    for n, pixels in enumerate(filmed):
        pixels[8, 2 * n] = 250
    height, width = filmed[0].shape[:2]
    rgba = [np.dstack([pixels[..., ::-1], np.full((height, width), 255, np.uint8)]) for pixels in filmed]
    (tmp_path / "filmed").write_bytes(b"".join(map(bytes, rgba)))
    script = f"""
        import {{ readFileSync, writeFileSync }} from "node:fs";
        import {{ Denoiser }} from {json.dumps(SCRIPT.as_uri())};
        const [denoiser, film] = [new Denoiser(), new Uint8ClampedArray(readFileSync("filmed"))];
        for (let at = 0; at < film.length; at += {4 * width * height})
          denoiser.apply({{ data: film.subarray(at, at + {4 * width * height}), width: {width}, height: {height} }});
        writeFileSync("settled", film);
    """
    (tmp_path / "run.mjs").write_text(script)
    assert NODE is not None, "CI needs node: apt-get install nodejs"
    subprocess.run([NODE, "run.mjs"], cwd=tmp_path, check=True, timeout=30)
    raw = np.frombuffer((tmp_path / "settled").read_bytes(), np.uint8)
    page = raw.reshape(len(filmed), height, width, 4)[..., 2::-1]
    # The calmest are sought among a ninth of the squares there: one at the limit may go either way.
    assert max(rms(a, b) for a, b in zip(settled(filmed), page, strict=True)) < 1
