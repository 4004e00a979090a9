"""`train` can be stopped anywhere and continues exactly; what it cannot use it refuses before work begins."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.errors import UsageError
from tests.training.conftest import write_picture
from training.backbone import load_backbone
from training.config import TrainingConfig
from training.photos import list_photos
from training.scenes import SceneSet
from training.train import Progress, Trained, at_size, read_painting, train
from training.trainer import DivergedError, Trainer
from workers.network import StyleNetwork, Widths, load, save
from workers.processing import Processing

# Each trains for real, if only a few iterations.
pytestmark = pytest.mark.slow

TINY = TrainingConfig(crop_px=128, painting_px=256, widths=Widths(4, 4, 4, 1))
STILL = replace(TINY, learning_rate=0.0)


@pytest.fixture(autouse=True)
def small_and_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.trainer._WARM_UP_STEPS", 3)
    monkeypatch.setattr("training.trainer._STATISTICS_CROPS", 4)
    # A ninth of the pixels to simplify.
    monkeypatch.setattr("training.scenes._SHORT_SIDE_PX", 160)


def _train(studio: Path, out: str, **options: Any) -> Trained:
    options = {"photos": studio / "photos", "config": TINY, "iterations": 6, **options}
    painting = options.pop("painting", studio / "painting.png")
    return train(painting, name="mine", materials=studio / "materials", out=studio / out, **options)


def _state(network: StyleNetwork) -> torch.Tensor:
    return torch.cat([value.flatten() for value in network.state_dict().values()])


@pytest.mark.parametrize("stop_at", [1, 3, 4], ids=["early", "as statistics become fixed", "after"])
def test_a_resumed_run_equals_one_never_stopped(studio: Path, stop_at: int) -> None:
    def stop(progress: Progress) -> None:
        if progress.iteration == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _train(studio, "stopped", progress=stop)
    resumed = _train(studio, "stopped", resume=True, config=None)
    whole = _train(studio, "whole")
    assert resumed.iterations == whole.iterations == 6
    assert torch.equal(_state(load(resumed.weights)), _state(load(whole.weights)))


def test_a_run_leaves_weights_checkpoint_and_a_sheet(studio: Path) -> None:
    seen: list[Progress] = []
    trained = _train(studio, "out", progress=seen.append)
    assert sorted(path.name for path in (studio / "out").iterdir()) == ["mine-00006.png", "mine.pt", "mine.safetensors"]
    assert seen[-1].sheet == studio / "out" / "mine-00006.png"
    assert [progress.iteration for progress in seen] == [1, 2, 3, 4, 5, 6]
    assert seen[-1].share == 1.0 and seen[-1].eta_s == 0.0 and trained.minutes > 0.0
    assert load(trained.weights).processing == Processing(TINY.contrast, TINY.sharpen)


def test_minutes_end_a_run_and_a_resumed_one_counts_those_before(studio: Path) -> None:
    trained = _train(studio, "out", iterations=None, minutes=0.02)
    assert trained.iterations >= 1 and trained.minutes >= 0.02
    again = _train(studio, "out", iterations=None, minutes=0.02, resume=True, config=None)
    assert again.iterations == trained.iterations


def test_training_learns_the_painting(studio: Path) -> None:
    seen: list[float] = []
    config = replace(TINY, widths=Widths(8, 8, 8, 1))
    _train(studio, "out", config=config, iterations=60, progress=lambda progress: seen.append(progress.terms.style))
    assert sum(seen[-10:]) < sum(seen[:10])


def test_a_style_can_start_from_another(studio: Path) -> None:
    first = _train(studio, "first")
    again = _train(studio, "again", parent=first.weights, config=STILL)
    fresh = _train(studio, "fresh", config=STILL)
    assert again.config.parent == "mine"
    photo = torch.rand(1, 3, 128, 128)
    wanted, near, far = (load(trained.weights)(photo) for trained in (first, again, fresh))
    # Not equal: the fixed statistics follow the photos that the run saw.
    assert (near - wanted).square().mean() < 0.2 * (far - wanted).square().mean()


def _trainer(studio: Path) -> Trainer:
    backbone = load_backbone(studio / "materials" / "vgg16.safetensors")
    painting = at_size(read_painting(studio / "painting.png"), TINY.painting_px)
    return Trainer(TINY, painting, SceneSet(list_photos(studio / "photos"), contrast=TINY.contrast), backbone)


def test_infinite_gradients_teach_nothing_and_twenty_in_a_row_end_the_run(studio: Path) -> None:
    """As of a crop of one colour through the norms; in a row, of a network that is broken."""
    run = _trainer(studio)
    before = [weight.clone() for weight in run.network.parameters()]

    def descend() -> None:
        run._descend(sum(weight.sum() for weight in run.network.parameters()) * torch.inf)  # type: ignore[arg-type]

    for _ in range(19):
        descend()
    with pytest.raises(DivergedError, match="lower learning rate"):
        descend()
    assert all(torch.equal(old, new) for old, new in zip(before, run.network.parameters(), strict=True))


def test_a_run_ends_without_dots_whatever_it_began_with(studio: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    dotted = StyleNetwork(TINY.widths)
    dotted.head.conv.bias.data += 0.2 * torch.randn(12)
    save(dotted, tmp_path / "dotted.safetensors")
    trained = _train(studio, "level", parent=tmp_path / "dotted.safetensors", config=STILL)
    painted = load(trained.weights)(torch.full((1, 3, 64, 64), 0.5))
    # Weights are stored as fp16.
    assert painted.flatten(2).std(2).max() < 2e-3


def test_a_parent_of_another_size_is_refused(studio: Path) -> None:
    first = _train(studio, "first")
    with pytest.raises(UsageError, match="cannot start"):
        _train(studio, "again", parent=first.weights, config=replace(TINY, widths=Widths(4, 4, 8, 1)))


def test_resuming_with_another_painting_is_refused(studio: Path) -> None:
    _train(studio, "out")
    other = write_picture(studio / "other.png", 99)
    with pytest.raises(UsageError, match="another painting"):
        _train(studio, "out", painting=other, resume=True)


def test_a_painting_too_small_is_refused(studio: Path) -> None:
    painting = write_picture(studio / "small.png", 1, size=(400, 255))
    with pytest.raises(UsageError, match=r"small\.png is 400×255: its short side must be at least 256"):
        _train(studio, "out", painting=painting)
    assert not (studio / "out").exists()


def test_a_painting_that_is_no_image_is_refused(studio: Path) -> None:
    (studio / "notes.jpg").write_text("not a picture")
    with pytest.raises(UsageError, match="cannot be read as an image"):
        _train(studio, "out", painting=studio / "notes.jpg")


def test_a_missing_painting_is_refused(studio: Path) -> None:
    with pytest.raises(UsageError, match="there is no painting"):
        _train(studio, "out", painting=studio / "none.png")


def test_too_few_photos_are_refused(studio: Path) -> None:
    write_picture(studio / "few" / "a.png", 1)
    with pytest.raises(UsageError, match="holds 1 photos"):
        _train(studio, "out", photos=studio / "few")


def test_resuming_nothing_is_refused(studio: Path) -> None:
    with pytest.raises(UsageError, match="nothing to resume"):
        _train(studio, "out", resume=True)


def test_without_photos_it_says_where_to_get_them(studio: Path) -> None:
    with pytest.raises(UsageError, match="make materials"):
        _train(studio, "out", photos=None)


def test_crops_come_from_their_generator_alone(studio: Path) -> None:
    scenes = SceneSet(list_photos(studio / "photos"), contrast=0.6)
    first, again = (scenes.crop(np.random.default_rng([1, 2]), 64) for _ in range(2))
    assert torch.equal(first.photo, again.photo) and torch.equal(first.simplified, again.simplified)
