"""The ConvNet of the distillation literature (Gidaris and Komodakis 2018, as used since Zhao et al. 2021)."""

from torch import Tensor, nn

from infer.models.names import GROUPS_OF_GROUPNORM


class ConvNet(nn.Module):
    """``depth`` blocks of [3x3 convolution, norm, ReLU, 2x2 average pool], then one linear layer.

    ConvNet-3 has 0.32 M parameters for 32x32 images and 10 classes. Weights are initialised by torch's defaults, as in
    the literature. Images must be at least 2^depth pixels wide.
    """

    def __init__(self, depth: int, num_classes: int, image_size: int, width: int, norm: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        in_width = 3
        for _ in range(depth):
            layers.append(nn.Conv2d(in_width, width, kernel_size=3, padding=1))
            layers += _norm(norm, width, image_size)
            layers += [nn.ReLU(inplace=True), nn.AvgPool2d(2)]
            in_width = width
            image_size //= 2
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(width * image_size**2, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, 3, image_size, image_size] to logits [B, num_classes]."""
        logits: Tensor = self.classifier(self.features(images).flatten(1))
        return logits


def _norm(norm: str, width: int, image_size: int) -> list[nn.Module]:
    """The normalisation layer after a convolution, with learned scale and shift; no layer for ``nonorm``."""
    match norm:
        case "instancenorm":
            return [nn.GroupNorm(width, width)]  # one channel per group, as in the literature's code
        case "batchnorm":
            return [nn.BatchNorm2d(width)]
        case "layernorm":
            return [nn.LayerNorm([width, image_size, image_size])]
        case "groupnorm":
            return [nn.GroupNorm(GROUPS_OF_GROUPNORM, width)]
        case _:
            return []
