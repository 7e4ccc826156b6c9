"""Networks by name, for teachers and students. Importing this package does not import torch."""

from typing import TYPE_CHECKING

from infer.models import names
from infer.models.names import check, signature_settings

if TYPE_CHECKING:
    from torch import nn

__all__ = ["build", "check", "signature_settings"]


def build(arch: str, num_classes: int, image_size: int) -> "nn.Module":
    """The untrained network ``arch``: float images [B, 3, image_size, image_size] to logits [B, num_classes].

    Weights are initialised from torch's global generator, by the scheme in each family's docstring.
    Raises UsageError for a name that does not exist or a network that cannot take images of this size.
    """
    check(arch, image_size)
    parsed = names.parse(arch)
    match parsed.family:  # imported only where they are used, since torchvision and timm take seconds to load
        case "resnet":
            from infer.models.resnet import cifar_resnet

            return cifar_resnet(parsed.depth, num_classes)
        case "resnet_thin":
            from infer.models.resnet_thin import ThinResNet

            return ThinResNet(parsed.depth, num_classes, parsed.width)
        case "convnet":
            from infer.models.convnet import ConvNet

            return ConvNet(parsed.depth, num_classes, image_size, parsed.width, parsed.norm)
        case "mobilenetv2":
            from infer.models.mobilenetv2 import MobileNetV2

            return MobileNetV2(num_classes)
        case "efficientnet_b0":
            from infer.models.efficientnet import EfficientNetB0

            return EfficientNetB0(num_classes)
        case "shufflenet_g2":
            from infer.models.shufflenet import ShuffleNetG2

            return ShuffleNetG2(num_classes)
        case "timm":
            from infer.models.libraries import timm_network

            return timm_network(parsed.name, num_classes, image_size)
        case _:
            from infer.models.libraries import torchvision_network

            return torchvision_network(parsed.name, num_classes, image_size)
