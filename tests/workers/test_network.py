"""The style network keeps what the engines rely on: folding, tiling, files that load as they were saved."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from workers.classic_network import TransformerNet, load_classic
from workers.network import RECEPTIVE_FIELD_PX, STRIDE_PX, Norm, StyleNetwork, Widths, load, save

SMALL = Widths(half=4, quarter=6, eighth=8, blocks=4)


def _trained_a_little() -> StyleNetwork:
    torch.manual_seed(3)
    network = StyleNetwork(SMALL, normed=True)
    for norm in network.modules():
        if isinstance(norm, Norm):
            norm.fix(torch.randn(norm.num_features) * 0.1, torch.rand(norm.num_features) + 0.5)
    return network.eval()


@pytest.mark.parametrize("height_width", [(16, 16), (64, 96), (120, 8 * 31)], ids=str)
def test_a_frame_keeps_its_shape(height_width: tuple[int, int]) -> None:
    painted = StyleNetwork(SMALL).paint(torch.rand(1, 3, *height_width))
    assert painted.shape == (1, 3, *height_width)
    assert painted.min() >= 0.0 and painted.max() <= 1.0


def _network_by_own_statistics(share: float) -> StyleNetwork:
    network = _trained_a_little().train()
    for module in network.modules():
        if isinstance(module, Norm):
            module.own = share
    return network


def test_a_picture_is_normalised_by_its_own_share_of_statistics_while_it_trains() -> None:
    frames = torch.rand(3, 3, 48, 48)
    alone, fixed = _network_by_own_statistics(1.0), _network_by_own_statistics(0.0)
    singles = torch.cat([alone(frame[None]) for frame in frames])
    assert torch.allclose(alone(frames), singles, atol=1e-4)
    # Its own statistics take brightness and contrast away; the fixed ones, which painting uses, keep them.
    by_its_own = (alone(frames * 0.5) - alone(frames)).abs().max()
    by_fixed = (fixed(frames * 0.5) - fixed(frames)).abs().max()
    assert by_fixed > 5 * by_its_own


def test_the_fixed_statistics_follow_the_pictures_seen_in_training() -> None:
    network, dark = _network_by_own_statistics(0.4), torch.rand(1, 3, 48, 48) * 0.1
    norm = next(module for module in network.modules() if isinstance(module, Norm))
    assert norm.running_mean is not None
    before = norm.running_mean.clone()
    network(dark)
    assert not torch.equal(norm.running_mean, before)
    painting = network.eval()(dark)
    assert torch.equal(painting, network(dark))


def test_folding_the_norms_changes_nothing() -> None:
    network, frame = _trained_a_little(), torch.rand(1, 3, 64, 80)
    assert torch.allclose(network.fold()(frame), network(frame), atol=1e-5)


def test_a_batch_is_painted_as_its_frames_are() -> None:
    network, frames = _trained_a_little().fold(), torch.rand(3, 3, 48, 48)
    singles = torch.cat([network.paint(frame[None]) for frame in frames])
    assert torch.allclose(network.paint(frames), singles, atol=1e-5)


def test_a_saved_network_loads_as_it_was(tmp_path: Path) -> None:
    network, frame = _trained_a_little().fold(), torch.rand(1, 3, 64, 64)
    save(network, tmp_path / "a.safetensors")
    again = load(tmp_path / "a.safetensors")
    assert again.widths == SMALL
    # Stored as fp16.
    assert (again.paint(frame) - network.paint(frame)).abs().max() < 2 / 255
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_the_shipped_size_stays_below_500_kb(tmp_path: Path) -> None:
    save(StyleNetwork(), tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").stat().st_size <= 500_000


def test_an_unfolded_network_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fold"):
        save(_trained_a_little(), tmp_path / "a.safetensors")


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(2)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="not a style network"):
        load(tmp_path / "a.safetensors")


def test_no_pixel_looks_further_than_the_receptive_field() -> None:
    network, frame = StyleNetwork(Widths(8, 8, 8, 4)).eval(), torch.rand(1, 3, 256, 256, requires_grad=True)
    for place in range(120, 120 + STRIDE_PX):
        (gradient,) = torch.autograd.grad(network(frame)[0, :, place, place].sum(), frame)
        rows = gradient.abs().sum((0, 1, 3)).nonzero().flatten()
        assert place - rows.min() <= RECEPTIVE_FIELD_PX and rows.max() - place <= RECEPTIVE_FIELD_PX


def test_a_tile_with_margin_equals_the_whole() -> None:
    network, frame = _trained_a_little().fold(), torch.rand(1, 3, 400, 64)
    inside = slice(200, 264)
    tile = frame[:, :, inside.start - RECEPTIVE_FIELD_PX : inside.stop + RECEPTIVE_FIELD_PX]
    painted = network.paint(tile)[:, :, RECEPTIVE_FIELD_PX:-RECEPTIVE_FIELD_PX]
    assert torch.allclose(painted, network.paint(frame)[:, :, inside], atol=1e-5)


def test_levelled_sub_pixels_agree_on_flat_grey_and_keep_their_answer_to_edges() -> None:
    torch.manual_seed(3)
    network = StyleNetwork(SMALL).eval()
    network.head.conv.weight.data += 0.1 * torch.randn_like(network.head.conv.weight)
    network.head.conv.bias.data += 0.1 * torch.randn_like(network.head.conv.bias)
    grey, photo = torch.full((1, 3, 64, 64), 0.5), torch.rand(1, 3, 64, 64)

    def to_edges() -> torch.Tensor:
        weight = network.head.conv.weight.detach()
        return weight - weight.mean((2, 3), keepdim=True)

    with torch.no_grad():
        dotted, painted, before = network(grey), network(photo), to_edges()
        network.level_subpixels()
        level, levelled = network(grey), network(photo)
    assert dotted.flatten(2).std(2).max() > 0.02
    assert level.flatten(2).std(2).max() < 1e-5
    assert torch.allclose(to_edges(), before, atol=1e-6)
    # The mean over the four stays what it was.
    assert torch.allclose(F.avg_pool2d(levelled, 2), F.avg_pool2d(painted, 2), atol=1e-5)


def test_a_fresh_network_paints_flat_grey_without_dots() -> None:
    painted = StyleNetwork(SMALL)(torch.full((1, 3, 64, 64), 0.5))
    assert painted.flatten(2).std(2).max() < 1e-5


@pytest.mark.parametrize("are_keys_old", [False, True], ids=["new keys", "old keys"])
def test_a_published_checkpoint_loads(tmp_path: Path, are_keys_old: bool) -> None:
    network, frame = TransformerNet().eval(), torch.rand(1, 3, 32, 32)
    state = network.state_dict()
    if are_keys_old:
        state["in1.running_mean"], state["res1.in2.running_var"] = torch.zeros(32), torch.ones(128)
    torch.save(state, tmp_path / "candy.pth")
    assert torch.equal(load_classic(tmp_path / "candy.pth").paint(frame), network.paint(frame))


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"conv1": Path("/etc/passwd")}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match="not a checkpoint of tensors alone"):
        load_classic(tmp_path / "evil.pth")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04broken"], ids=["empty", "text", "half a zip"])
def test_a_broken_checkpoint_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.pth"):
        load_classic(tmp_path / "a.pth")
