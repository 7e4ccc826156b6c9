"""ResNet-18, -34, -50 and -101 in their CIFAR form: torchvision's networks without the early downsampling."""

import torchvision
from torch import nn


def cifar_resnet(depth: int, num_classes: int) -> nn.Module:
    """torchvision's ResNet (He et al. 2016) with a 3x3 stem of stride 1 and no max-pool.

    Weights are initialised as in the published code: by torchvision's scheme (Kaiming, fan-out), and those of the new
    stem by torch's default.
    """
    network: nn.Module = torchvision.models.get_model(f"resnet{depth}", weights=None, num_classes=num_classes)
    network.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
    network.maxpool = nn.Identity()
    return network
