"""Networks that react to their input: in an untrained one in eval mode it fades away on the way."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from infer.models import build


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def calibrated() -> Callable[[str, int], nn.Module]:
    """Gives ``arch`` (10 classes, eval mode) with uneven batch norms whose running statistics fit noise."""

    @torch.no_grad()
    def make(arch: str, image_size: int) -> nn.Module:
        network = build(arch, 10, image_size)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
                module.momentum = 1.0
        network(torch.randn(16, 3, image_size, image_size))
        return network.eval()

    return make
