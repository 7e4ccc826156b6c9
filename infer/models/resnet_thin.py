"""The thin CIFAR ResNets of He et al. 2016 (section 4.2), from ResNet-8 to ResNet-56."""

from torch import Tensor, nn
from torch.nn import functional as F


class ThinResNet(nn.Module):
    """A 3x3 stem, then three stages of n two-layer blocks with widths w, 2w and 4w, so that the depth is 6n + 2.

    ResNet-20 has 0.27 M parameters for w = 16. Shortcuts have no parameters (option A in the paper). Convolutions are
    initialised by Kaiming's normal scheme (fan-in), as in the paper, and the last layer by torch's default.
    """

    def __init__(self, depth: int, num_classes: int, width: int) -> None:
        super().__init__()
        blocks_per_stage = (depth - 2) // 6
        self.conv1 = _conv3x3(3, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _stage(width, width, blocks_per_stage, stride=1)
        self.layer2 = _stage(width, 2 * width, blocks_per_stage, stride=2)
        self.layer3 = _stage(2 * width, 4 * width, blocks_per_stage, stride=2)
        self.fc = nn.Linear(4 * width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, 3, H, W] to logits [B, num_classes]."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


class BasicBlock(nn.Module):
    """Block of two 3x3 convolutions, with a shortcut of every ``stride``-th pixel and additional channels of zeros."""

    def __init__(self, in_width: int, out_width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(in_width, out_width, stride)
        self.bn1 = nn.BatchNorm2d(out_width)
        self.conv2 = _conv3x3(out_width, out_width)
        self.bn2 = nn.BatchNorm2d(out_width)
        self.stride = stride
        self.new_channels = out_width - in_width

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        return F.relu(out + self._shortcut(x), inplace=True)

    def _shortcut(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            return x
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))


def _stage(in_width: int, out_width: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(in_width, out_width, stride)
    return nn.Sequential(first, *(BasicBlock(out_width, out_width, stride=1) for _ in range(blocks - 1)))


def _conv3x3(in_width: int, out_width: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_width, out_width, kernel_size=3, stride=stride, padding=1, bias=False)
