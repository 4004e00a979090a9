"""`train` can be stopped anywhere and goes on exactly; what it cannot use it refuses before work begins."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.errors import UsageError
from tests.training.conftest import write_picture
from training.backbone import load_backbone
from training.photos import PhotoSet, list_photos
from training.recipe import Recipe
from training.run import DivergedError, Run
from training.train import Progress, Trained, read_painting, train
from workers.network import StyleNetwork, Widths, load, save

# Each trains for real, if only a few iterations.
pytestmark = pytest.mark.slow

TINY = Recipe(crop_px=64, batch=2, warm_up=3, freeze_at=0.5, frame=100.0, widths=Widths(4, 4, 4, 1))


def _train(studio: Path, out: str, **options: Any) -> Trained:
    options = {"photos": studio / "photos", "recipe": TINY, "iterations": 6, **options}
    painting = options.pop("painting", studio / "painting.png")
    return train(painting, name="mine", materials=studio / "materials", out=studio / out, **options)


def _state(network: StyleNetwork) -> torch.Tensor:
    return torch.cat([value.flatten() for value in network.state_dict().values()])


@pytest.mark.parametrize("stop_at", [1, 3, 4], ids=["early", "as statistics freeze", "after"])
def test_a_resumed_run_equals_one_never_stopped(studio: Path, stop_at: int) -> None:
    def stop(progress: Progress) -> None:
        if progress.iteration == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _train(studio, "stopped", progress=stop)
    resumed = _train(studio, "stopped", resume=True, recipe=None, iterations=None)
    whole = _train(studio, "whole")
    assert resumed.iterations == whole.iterations == 6
    assert torch.equal(_state(load(resumed.weights)), _state(load(whole.weights)))


def test_painting_is_sharpened_by_one_number_and_training_by_another(studio: Path) -> None:
    shares = {"neither": (0.0, 0.0), "painted": (0.0, 0.5), "trained": (0.5, 0.0)}
    neither, painted, trained = (
        load(_train(studio, out, recipe=replace(TINY, sharpen=training, painted_sharpen=painting)).weights)
        for out, (training, painting) in shares.items()
    )
    assert [network.canvas.sharpen for network in (neither, painted, trained)] == [0.0, 0.5, 0.0]
    assert torch.equal(_state(neither), _state(painted))
    assert not torch.equal(_state(neither), _state(trained))


def test_a_run_leaves_weights_checkpoint_and_a_sheet(studio: Path) -> None:
    seen: list[Progress] = []
    trained = _train(studio, "out", progress=seen.append)
    assert sorted(path.name for path in (studio / "out").iterdir()) == ["mine-00006.png", "mine.pt", "mine.safetensors"]
    assert seen[-1].sheet == studio / "out" / "mine-00006.png"
    assert [progress.iteration for progress in seen] == [1, 2, 3, 4, 5, 6]
    assert seen[-1].eta_s == 0.0 and trained.minutes > 0.0


def test_minutes_become_iterations_once(studio: Path) -> None:
    trained = _train(studio, "out", iterations=None, minutes=0.001)
    state = torch.load(trained.checkpoint, weights_only=True)
    assert state["iterations"] == trained.iterations >= 12


def test_training_learns_the_painting(studio: Path) -> None:
    seen: list[float] = []
    # Before the norms are frozen: that takes strokes away, and what comes back takes longer than a test.
    recipe = Recipe(crop_px=64, warm_up=60, freeze_at=1.0, widths=Widths(8, 8, 8, 1))
    _train(studio, "out", recipe=recipe, iterations=60, progress=lambda progress: seen.append(progress.terms.style))
    assert sum(seen[-10:]) < sum(seen[:10])


def test_a_style_can_start_from_another(studio: Path) -> None:
    first = _train(studio, "first")
    still = replace(TINY, warm_up=0, freeze_at=0.0, learning_rate=0.0, final_learning_rate=0.0)
    again, fresh = _train(studio, "again", start=first.weights, recipe=still), _train(studio, "fresh", recipe=still)
    assert again.recipe.start == "mine"
    photo = torch.rand(1, 3, 128, 128)
    wanted, near, far = (load(trained.weights)(photo) for trained in (first, again, fresh))
    # Not equal: the norms are new, and instance norm sees each photo by itself.
    assert (near - wanted).square().mean() < 0.2 * (far - wanted).square().mean()


def test_infinite_gradients_teach_nothing_and_twenty_in_a_row_end_the_run(studio: Path) -> None:
    """As of a crop of one colour, through the classic network's norms; in a row, of a network that is broken."""
    painting = read_painting(studio / "painting.png")
    backbone = load_backbone(studio / "materials" / "vgg16.safetensors")
    run = Run(TINY, painting, PhotoSet(list_photos(studio / "photos")), backbone)
    before = [weight.clone() for weight in run.network.parameters()]

    def descend() -> None:
        run._descend(sum(weight.sum() for weight in run.network.parameters()) * torch.inf)  # type: ignore[arg-type]

    for _ in range(19):
        descend()
    with pytest.raises(DivergedError, match="lower learning rate"):
        descend()
    assert all(torch.equal(old, new) for old, new in zip(before, run.network.parameters(), strict=True))


def test_some_of_the_weights_it_began_with_can_stay(studio: Path) -> None:
    first = _train(studio, "first")
    moved, half = (
        _train(studio, f"kept-{kept}", start=first.weights, recipe=replace(TINY, warm_up=0, freeze_at=0.0, kept=kept))
        for kept in (0.0, 0.5)
    )
    # A resumed run knows them still, without being told the start again.
    resumed = _train(studio, "kept-0.5", recipe=None, iterations=None, resume=True)
    begun, end, between, again = (_state(load(run.weights)) for run in (first, moved, half, resumed))
    assert not torch.allclose(begun, end, atol=1e-3)
    assert torch.allclose(between, (begun + end) / 2, atol=1e-3)
    assert torch.equal(between, again)


@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_run_ends_without_dots_whatever_it_began_with(studio: Path, tmp_path: Path, kept: float) -> None:
    torch.manual_seed(1)
    dotted = StyleNetwork(TINY.widths)
    dotted.head.conv.bias.data += 0.2 * torch.randn(12)
    save(dotted, tmp_path / "dotted.safetensors")
    recipe = replace(TINY, warm_up=0, freeze_at=0.0, kept=kept)
    trained = _train(studio, f"level-{kept}", start=tmp_path / "dotted.safetensors", recipe=recipe)
    painted = load(trained.weights)(torch.full((1, 3, 64, 64), 0.5))
    # Weights are stored as fp16.
    assert painted.flatten(2).std(2).max() < 2e-3


def test_a_run_begun_before_there_was_a_term_goes_on_without(studio: Path) -> None:
    checkpoint = _train(studio, "older").checkpoint
    state = torch.load(checkpoint, weights_only=True)
    del state["recipe"]["detail"], state["recipe"]["painted_sharpen"]
    torch.save(state, checkpoint)
    recipe = _train(studio, "older", recipe=None, iterations=None, resume=True).recipe
    assert (recipe.detail, recipe.painted_sharpen) == (0.0, 0.0)


def test_a_start_of_another_size_is_refused(studio: Path) -> None:
    first = _train(studio, "first")
    with pytest.raises(UsageError, match="cannot start"):
        _train(studio, "again", start=first.weights, recipe=replace(TINY, widths=Widths(4, 4, 8, 1)))


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


def test_content_may_count_less_once_the_statistics_are_frozen() -> None:
    assert replace(TINY, content=1.5, frozen_content=0.6).content_weight(is_frozen=True) == 0.6
    assert replace(TINY, content=1.5, frozen_content=0.6).content_weight(is_frozen=False) == 1.5
    assert replace(TINY, content=1.5).content_weight(is_frozen=True) == 1.5
