"""The memory layout that a network is run in."""

import pytest
import torch
from torch import nn

from infer.training.execution import memory_format_of


@pytest.mark.parametrize(
    "norm, layout",
    [
        (nn.BatchNorm2d(8), torch.channels_last),
        (nn.Identity(), torch.channels_last),
        (nn.GroupNorm(8, 8), torch.contiguous_format),
        (nn.InstanceNorm2d(8), torch.contiguous_format),
    ],
)
def test_layout_follows_the_normalisation(norm, layout):
    assert memory_format_of(nn.Sequential(nn.Conv2d(3, 8, 3), norm, nn.ReLU())) == layout
