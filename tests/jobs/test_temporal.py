"""Strokes carried along: they stay with what they lie on, keep their height, and never hide what is new."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from jobs.temporal import FlowEstimator, TemporalBlender
from pipeline.protocol.frame import Look
from tests.media import rms, texture

HEIGHT, WIDTH = 192, 256
Pixels = NDArray[np.uint8]


def strokes(seed: int, height: float = 40.0) -> NDArray[np.float32]:
    """Lines of a few pixels, another set for each seed."""
    rng = np.random.default_rng(seed)
    fine = rng.normal(0, 1, (HEIGHT, WIDTH // 4, 1)).repeat(4, 1)
    return (fine / fine.std() * height / 2).astype(np.float32)


def painted(source: Pixels, seed: int) -> Pixels:
    return np.clip(source + strokes(seed), 0, 255).astype(np.uint8)


def carried(sources: list[Pixels], paintings: list[Pixels]) -> list[Pixels]:
    estimator, blender = FlowEstimator(), TemporalBlender()
    return [
        blender.blend(painting, estimator.update(source)) for source, painting in zip(sources, paintings, strict=True)
    ]


def height(picture: NDArray[Any]) -> float:
    return float(np.abs(np.diff(picture[..., 1].astype(float), axis=0)).mean())


def test_strokes_stay_where_nothing_moves_and_keep_their_height() -> None:
    source = texture(HEIGHT, WIDTH, contrast=20)
    paintings = [painted(source, n) for n in range(16)]
    found = carried([source] * 16, paintings)
    flicker = [np.mean([rms(a, b) for a, b in pairwise(pictures[8:])]) for pictures in (found, paintings)]
    assert flicker[0] < 0.5 * flicker[1]
    # Strokes that do not match would be left with that: the mean that four fifths of the one before make.
    mean = paintings[0].astype(np.float32)
    for painting in paintings[1:]:
        mean += 0.2 * (painting - mean)
    assert height(found[-1]) > 1.3 * height(mean)


def test_strokes_go_along_with_what_moves() -> None:
    wide = texture(HEIGHT, WIDTH + 64)
    sources = [wide[:, 3 * n : 3 * n + WIDTH] for n in range(12)]
    paintings = [painted(source, n) for n, source in enumerate(sources)]
    found = carried(sources, paintings)
    moved = [np.mean([rms(a[:, 3:], b[:, :-3]) for a, b in pairwise(pictures[6:])]) for pictures in (found, paintings)]
    assert moved[0] < 0.6 * moved[1]


def test_another_scene_is_as_it_was_painted() -> None:
    sources = [texture(HEIGHT, WIDTH, seed=n // 4) for n in range(8)]
    paintings = [painted(source, n) for n, source in enumerate(sources)]
    found = carried(sources, paintings)
    assert rms(found[4], paintings[4]) < 0.3 * rms(paintings[3], paintings[4])


def test_another_scene_as_dark_is_as_it_was_painted() -> None:
    sources = [texture(HEIGHT, WIDTH, seed=n // 4) // 10 + 8 for n in range(8)]
    paintings = [painted(source, n) for n, source in enumerate(sources)]
    assert rms(sources[3], sources[4]) < 10
    assert rms(carried(sources, paintings)[4], paintings[4]) < 0.2 * rms(paintings[3], paintings[4])


@pytest.mark.parametrize("frames", [12, 25])
def test_a_dissolve_leaves_a_sixth_of_the_old_scene_at_its_end_and_half_of_that_soon(frames: int) -> None:
    old, new = texture(HEIGHT, WIDTH, seed=1), texture(HEIGHT, WIDTH, seed=2)
    shares = np.clip(np.arange(frames + 9) / frames, 0, 1)
    sources = [(old * (1 - share) + new * share).astype(np.uint8) for share in shares]
    found = carried(sources, sources)
    apart = old.astype(float) - new
    left = [float(((found[frames + n] - new.astype(float)) * apart).sum() / np.square(apart).sum()) for n in (0, 8)]
    assert left[0] < 0.2
    assert left[1] < 0.1


def test_a_painting_that_changes_colour_over_a_source_that_stands_still_is_not_held_back() -> None:
    source = texture(HEIGHT, WIDTH, contrast=20)
    paintings = [painted(source, n // 3) for n in range(6)]
    for painting in paintings[3:]:
        painting[..., 2] = np.clip(painting[..., 2].astype(int) + 60, 0, 255)
    found = carried([source] * 6, paintings)
    assert rms(found[3], paintings[3]) < 0.1 * rms(paintings[2], paintings[3])


def test_what_comes_in_front_of_it_leaves_nothing_behind() -> None:
    behind = texture(HEIGHT, WIDTH)
    sources = [behind.copy() for _ in range(12)]
    for n, source in enumerate(sources):
        source[60:120, 10 + 16 * n : 50 + 16 * n] = 255
    found = carried(sources, sources)
    for n in range(1, 12):
        assert rms(found[n], sources[n]) < 6
        # Where it was two pictures ago.
        was = np.s_[60:120, max(0, 10 + 16 * n - 32) : 10 + 16 * n]
        assert abs(found[n][was].mean() - sources[n][was].mean()) < 3


@pytest.mark.parametrize(("side", "contrast"), [(4, 125), (6, 80), (8, 125)])
def test_what_is_small_and_moves_is_whole_and_leaves_nothing_behind(side: int, contrast: int) -> None:
    sources = [np.full((HEIGHT, WIDTH, 3), 100, np.uint8) for _ in range(9)]
    places = [np.s_[90 : 90 + side, 10 + 25 * n : 10 + 25 * n + side] for n in range(9)]
    for source, place in zip(sources, places, strict=True):
        source[place] += np.uint8(contrast)
    found = carried(sources, sources)
    assert found[-1][places[-1]].mean() > 100 + 0.9 * contrast
    for place in places[:-1]:
        assert abs(found[-1][place].mean() - 100) < 4


def test_a_wall_stays_where_it_is_while_something_passes() -> None:
    sources = [np.full((HEIGHT, WIDTH, 3), 120, np.uint8) for _ in range(8)]
    for n, source in enumerate(sources):
        source[60:124, 16 * n : 16 * n + 64] = texture(64, 64)
    wall = strokes(1)
    paintings = [np.clip(source + wall, 0, 255).astype(np.uint8) for source in sources]
    found = carried(sources, paintings)
    assert rms(found[-1][140:], paintings[-1][140:]) < 3
    assert rms(found[-1][:44], paintings[-1][:44]) < 3


def test_colours_that_are_kept_are_not_carried() -> None:
    sources = [texture(HEIGHT, WIDTH, seed=n) // 8 + 100 for n in range(4)]
    blender, estimator = TemporalBlender(Look(keep_colours=True)), FlowEstimator()
    for source in sources:
        tinted = source.copy()
        tinted[..., 2] += np.uint8(60)
        found = blender.blend(tinted, estimator.update(sources[0]))
    assert (
        abs(
            (found[..., 2].astype(float) - found[..., 0]).mean()
            - (tinted[..., 2].astype(float) - tinted[..., 0]).mean()
        )
        < 2
    )


@pytest.mark.parametrize("step", [-4, 3])
def test_a_fade_does_not_lag(step: int) -> None:
    scene = texture(HEIGHT, WIDTH, contrast=30)
    sources = [(scene.astype(int) + step * n).clip(0, 255).astype(np.uint8) for n in range(12)]
    found = carried(sources, sources)
    assert max(abs(a.mean() - b.mean()) for a, b in zip(found, sources, strict=True)) < 2


def test_what_is_painted_less_is_carried_less() -> None:
    source = texture(HEIGHT, WIDTH, contrast=20)
    paintings = [painted(source, n) for n in range(4)]
    apart = []
    for strength in (1.0, 0.5, 0.0):
        estimator, blender = FlowEstimator(), TemporalBlender(Look(strength=strength))
        apart.append(
            rms([blender.blend(picture, estimator.update(source)) for picture in paintings][-1], paintings[-1])
        )
    assert apart[0] > 1.2 * apart[1] > 0
    assert apart[2] < 2


@pytest.mark.parametrize("shape", [(1, 1), (17, 5), (65, 67), (101, 333)])
def test_any_size_keeps_its_size(shape: tuple[int, int]) -> None:
    estimator, blender = FlowEstimator(), TemporalBlender()
    picture = texture(*shape)
    for _ in range(3):
        found = blender.blend(picture, estimator.update(picture))
        assert (found.shape, found.dtype) == (picture.shape, np.uint8)
        assert rms(found, picture) < 4
