"""EfficientNet-B0 in the form of the published CIFAR checkpoints (Tan and Le 2019, stem of stride 1)."""

from torch import Tensor, nn
from torch.nn import functional as F

from infer.models.layers import depthwise, pointwise

# (expansion, width, blocks, kernel size, stride of the first block)
_STAGES = (
    (1, 16, 1, 3, 1),
    (6, 24, 2, 3, 2),
    (6, 40, 2, 5, 2),
    (6, 80, 3, 3, 2),
    (6, 112, 3, 5, 1),
    (6, 192, 4, 5, 2),
    (6, 320, 1, 3, 1),
)
_DROPOUT = 0.2
_SQUEEZE = 4  # ratio of the width of the block's input (not of the expanded one) to that of the squeezed layer


class EfficientNetB0(nn.Module):
    """The published EfficientNet-B0 for 32x32 images, with layers named as in its checkpoints; 3.60 M parameters.

    Weights are initialised by torch's defaults. Dropout acts in training mode only. There is no drop-connect: in the
    published code its rate is meant to grow from block to block, but the blocks are never counted, so all rates are 0.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.layers = _blocks(in_width=32)
        self.dropout = nn.Dropout(_DROPOUT)
        self.linear = nn.Linear(320, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, 3, H, W] to logits [B, num_classes]."""
        x = F.silu(self.bn1(self.conv1(images)))
        x = self.layers(x)
        logits: Tensor = self.linear(self.dropout(x.mean((2, 3))))
        return logits


class MBConv(nn.Module):
    """Block of expansion, depthwise convolution, squeeze-and-excitation and projection; the input is added where its
    shape is that of the output.

    With expansion 1 the first convolution and its norm exist, as in the checkpoints, but are not used.
    """

    def __init__(self, in_width: int, out_width: int, expansion: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        hidden = expansion * in_width
        self.conv1 = pointwise(in_width, hidden)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = depthwise(hidden, kernel_size, stride)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.se = SqueezeExcitation(hidden, in_width // _SQUEEZE)
        self.conv3 = pointwise(hidden, out_width)
        self.bn3 = nn.BatchNorm2d(out_width)
        self.expands = expansion > 1
        self.adds_input = stride == 1 and in_width == out_width

    def forward(self, x: Tensor) -> Tensor:
        out = F.silu(self.bn1(self.conv1(x))) if self.expands else x
        out = F.silu(self.bn2(self.conv2(out)))
        projected: Tensor = self.bn3(self.conv3(self.se(out)))
        return projected + x if self.adds_input else projected


class SqueezeExcitation(nn.Module):
    """Layer that multiplies every channel by a gate in (0, 1), computed from the means of all channels."""

    def __init__(self, width: int, reduced: int) -> None:
        super().__init__()
        self.se1 = nn.Conv2d(width, reduced, kernel_size=1)
        self.se2 = nn.Conv2d(reduced, width, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)
        gates: Tensor = self.se2(F.silu(self.se1(means))).sigmoid()
        return x * gates


def _blocks(in_width: int) -> nn.Sequential:
    blocks = []
    for expansion, width, count, kernel_size, first_stride in _STAGES:
        for stride in (first_stride, *[1] * (count - 1)):
            blocks.append(MBConv(in_width, width, expansion, kernel_size, stride))
            in_width = width
    return nn.Sequential(*blocks)
