"""A style of random weights, small but built and exported as the shipped ones are."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch

from tests.workers.tiny import Pixels, StyleFiles
from training.export import export
from workers.network import StyleNetwork, Widths, save
from workers.processing import Processing


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> StyleFiles:
    """Random weights whose painting spans dark to bright, with both steps of processing."""
    folder = tmp_path_factory.mktemp("styles")
    torch.manual_seed(7)
    processing = Processing(contrast=0.6, sharpen=0.5)
    network = StyleNetwork(Widths(half=8, quarter=8, eighth=8, blocks=2), processing=processing).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.weight.mul_(2.2)
        assert network.head.conv.bias is not None
        network.head.conv.bias.fill_(0.5)
    save(network, folder / "random.safetensors")
    exported = export(folder / "random.safetensors", name="tiny", folder=folder)
    (folder / "random.safetensors").unlink()
    return StyleFiles(folder, exported.safetensors, exported.xml)


@pytest.fixture
def photo() -> Pixels:
    """A picture with soft and hard parts, 203×151: multiples of nothing."""
    random = np.random.default_rng(3)
    soft = cv2.resize(random.integers(0, 256, (12, 16, 3), np.uint8), (203, 151), interpolation=cv2.INTER_CUBIC)
    cv2.rectangle(soft, (40, 30), (120, 90), (20, 200, 240), -1)
    return np.asarray(soft, np.uint8)


@pytest.fixture(autouse=True)
def _one_torch_thread() -> Iterator[None]:
    """Engines set torch's threads for their whole process; give them back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
