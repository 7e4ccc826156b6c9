"""Pointwise and depthwise convolutions, which MobileNetV2, EfficientNet and ShuffleNet share."""

from torch import nn


def pointwise(in_width: int, out_width: int, groups: int = 1) -> nn.Conv2d:
    """A 1x1 convolution without bias."""
    return nn.Conv2d(in_width, out_width, kernel_size=1, groups=groups, bias=False)


def depthwise(width: int, kernel_size: int, stride: int) -> nn.Conv2d:
    """A convolution of each channel separately, without bias; with stride 1 the image size does not change."""
    padding = kernel_size // 2
    return nn.Conv2d(width, width, kernel_size, stride, padding, groups=width, bias=False)
