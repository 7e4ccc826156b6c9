"""ShuffleNet v1 with two groups in the form of the published CIFAR checkpoints (Zhang et al. 2018)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infer.models.layers import depthwise, pointwise

_GROUPS = 2
_STEM_WIDTH = 24
_STAGES = ((200, 4), (400, 8), (800, 4))  # (width, blocks)


class ShuffleNetG2(nn.Module):
    """The published ShuffleNet-G2 for 32x32 images, with layers named as in its checkpoints; 0.89 M parameters.

    The last pooling is global, which for 32x32 images is the published 4x4. Weights are initialised by torch's
    defaults.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        (width1, blocks1), (width2, blocks2), (width3, blocks3) = _STAGES
        self.conv1 = pointwise(3, _STEM_WIDTH)
        self.bn1 = nn.BatchNorm2d(_STEM_WIDTH)
        self.layer1 = _stage(_STEM_WIDTH, width1, blocks1, first_groups=1)
        self.layer2 = _stage(width1, width2, blocks2)
        self.layer3 = _stage(width2, width3, blocks3)
        self.linear = nn.Linear(width3, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, 3, H, W] to logits [B, num_classes]."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits


class Bottleneck(nn.Module):
    """Block of a 1x1 convolution in ``groups``, a channel shuffle over these groups, a depthwise 3x3 convolution and a
    1x1 convolution in two groups; the input is added."""

    def __init__(self, in_width: int, out_width: int, stride: int, groups: int) -> None:
        super().__init__()
        hidden = out_width // 4
        self.conv1 = pointwise(in_width, hidden, groups)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = depthwise(hidden, kernel_size=3, stride=stride)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.conv3 = pointwise(hidden, out_width, _GROUPS)
        self.bn3 = nn.BatchNorm2d(out_width)
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self._residual(x) + x, inplace=True)

    def _residual(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = F.relu(self.bn2(self.conv2(_shuffle(out, self.groups))), inplace=True)
        residual: Tensor = self.bn3(self.conv3(out))
        return residual


class DownsamplingBottleneck(Bottleneck):
    """First block of a stage, with stride 2; its pooled input is appended as channels instead of added."""

    def __init__(self, in_width: int, out_width: int, groups: int) -> None:
        super().__init__(in_width, out_width - in_width, stride=2, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.avg_pool2d(x, kernel_size=3, stride=2, padding=1)
        return F.relu(torch.cat([self._residual(x), pooled], dim=1), inplace=True)


def _shuffle(x: Tensor, groups: int) -> Tensor:
    """``x`` with the channels of each group distributed over all groups."""
    grouped: Tensor = x.unflatten(1, (groups, -1))
    return grouped.transpose(1, 2).flatten(1, 2)


def _stage(in_width: int, out_width: int, blocks: int, first_groups: int = _GROUPS) -> nn.Sequential:
    first = DownsamplingBottleneck(in_width, out_width, first_groups)
    others = (Bottleneck(out_width, out_width, stride=1, groups=_GROUPS) for _ in range(blocks - 1))
    return nn.Sequential(first, *others)
