"""Normalisation of pixel values by a mean and a standard deviation per channel, and its inverse.

Inputs of networks are (pixel / 255 - mean) / std. Images with a floating-point type are in these normalised units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

MOST_CLIPPED = 0.9
"""Fraction of values clipped to black or full brightness above which images no longer show their content."""


def channelwise(values: Sequence[float], dtype: torch.dtype = torch.float32) -> Tensor:
    """``values`` [3] as a tensor [3, 1, 1] that broadcasts over images."""
    return torch.tensor(values, dtype=dtype).view(3, 1, 1)


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, for pixel values in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, mean: Sequence[float], std: Sequence[float]) -> Self:
        """The normalisation by ``mean`` and ``std``, sequences of three values."""
        return cls(tuple(mean), tuple(std))

    @property
    def as_lists(self) -> tuple[list[float], list[float]]:
        """Mean and std as lists, for JSON."""
        return list(self.mean), list(self.std)

    def normalise(self, pixels: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """(pixel / 255 - mean) / std for uint8 ``pixels`` [..., 3, H, W] on the CPU."""
        return (pixels.to(dtype) / 255 - channelwise(self.mean, dtype)) / channelwise(self.std, dtype)

    def levels(self, images: Tensor) -> Tensor:
        """Normalised ``images`` [..., 3, H, W] as pixel values 0 to 255, neither rounded nor clipped."""
        return (images * channelwise(self.std, images.dtype) + channelwise(self.mean, images.dtype)) * 255

    def to_bytes(self, images: Tensor) -> Tensor:
        """Normalised ``images`` [..., 3, H, W] as the nearest uint8 pixels; values outside 0 to 255 are clipped."""
        return self.levels(images).round().clamp(0, 255).to(torch.uint8)

    @property
    def valid_range(self) -> tuple[Tensor, Tensor]:
        """The normalised values of black and of full brightness, each [3, 1, 1]."""
        mean, std = channelwise(self.mean), channelwise(self.std)
        return (0 - mean) / std, (1 - mean) / std

    @property
    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """Factor and summand, each [3, 1, 1], that normalise a pixel value 0 to 255 in one fused step.

        The result equals that of ``normalise`` up to rounding. Inputs of networks are computed in this way, stored
        images by ``normalise``.
        """
        mean, std = channelwise(self.mean), channelwise(self.std)
        return 1 / (255 * std), -mean / std

    def settings_beside(self, own: "Normalisation") -> dict[str, list[list[float]]]:
        """Entry of a signature, JSON-ready; empty where this is ``own``, the data set's own normalisation."""
        return {} if self == own else {"units": [list(self.mean), list(self.std)]}


class Renormalise(nn.Module):
    """Layer that converts pixels normalised by ``old`` to the same pixels normalised by ``new``."""

    _scale: Tensor
    _shift: Tensor

    def __init__(self, old: Normalisation, new: Normalisation) -> None:
        super().__init__()
        new_std = channelwise(new.std)
        self.register_buffer("_scale", channelwise(old.std) / new_std)
        self.register_buffer("_shift", (channelwise(old.mean) - channelwise(new.mean)) / new_std)

    def forward(self, pixels: Tensor) -> Tensor:
        """``pixels`` [B, 3, H, W] normalised by ``new``, in the same memory layout."""
        return torch.addcmul(self._shift, pixels, self._scale)


CIFAR10 = Normalisation((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
"""Values for CIFAR-10 in the published INFER code, with which its teachers were trained."""
CIFAR100 = Normalisation((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761))
"""Values for CIFAR-100 in the published INFER code."""
IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Values with which the published networks of torchvision and timm were trained."""
