"""MobileNetV2 in the form of the published CIFAR checkpoints (Sandler et al. 2018, with fewer strides)."""

from torch import Tensor, nn
from torch.nn import functional as F

from infer.models.layers import depthwise, pointwise

# (expansion, width, blocks, stride of the first block)
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class MobileNetV2(nn.Module):
    """The published MobileNetV2 for 32x32 images, with layers named as in its checkpoints; 2.30 M parameters.

    The last pooling is global, which for 32x32 images is the published 4x4. Weights are initialised by torch's
    defaults.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.layers = _blocks(in_width=32)
        self.conv2 = pointwise(320, 1280)
        self.bn2 = nn.BatchNorm2d(1280)
        self.linear = nn.Linear(1280, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, 3, H, W] to logits [B, num_classes]."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        x = self.layers(x)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits


class InvertedResidual(nn.Module):
    """Block of expansion, depthwise convolution and projection; with stride 1 the input is added, after a projection
    where the width changes."""

    def __init__(self, in_width: int, out_width: int, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = expansion * in_width
        self.conv1 = pointwise(in_width, hidden)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = depthwise(hidden, kernel_size=3, stride=stride)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.conv3 = pointwise(hidden, out_width)
        self.bn3 = nn.BatchNorm2d(out_width)
        self.shortcut = _shortcut(in_width, out_width) if stride == 1 else None

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = F.relu(self.bn2(self.conv2(out)), inplace=True)
        projected: Tensor = self.bn3(self.conv3(out))
        return projected if self.shortcut is None else projected + self.shortcut(x)


def _shortcut(in_width: int, out_width: int) -> nn.Module:
    if in_width == out_width:
        return nn.Identity()
    return nn.Sequential(pointwise(in_width, out_width), nn.BatchNorm2d(out_width))


def _blocks(in_width: int) -> nn.Sequential:
    blocks = []
    for expansion, width, count, first_stride in _STAGES:
        for stride in (first_stride, *[1] * (count - 1)):
            blocks.append(InvertedResidual(in_width, width, expansion, stride))
            in_width = width
    return nn.Sequential(*blocks)
