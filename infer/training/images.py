"""Images held in memory as one tensor, and the step from their stored form to what a network sees."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Images:
    """N images as one tensor, on one device.

    uint8 pixels are real images, normalised batch by batch when they are used. float32 pixels are in
    normalised units already (composed images: clipped to the valid range, not quantised) and used as is.
    """

    pixels: Tensor
    """uint8 or float32 [N, 3, H, W]."""
    mean: Sequence[float]
    """Per channel, of pixel values in [0, 1]."""
    std: Sequence[float]

    def __len__(self) -> int:
        return len(self.pixels)

    def to(self, device: torch.device | str) -> "Images":
        """The same images on ``device``."""
        return replace(self, pixels=self.pixels.to(device))

    @property
    def stored_as_bytes(self) -> bool:
        """Whether the pixels are uint8 and still to be normalised."""
        return self.pixels.dtype == torch.uint8

    @property
    def black(self) -> Tensor:
        """A black pixel in the units of ``pixels``, [3]: 0 as uint8, (0 - mean) / std when normalised."""
        return torch.zeros_like(self._shift.flatten()) if self.stored_as_bytes else self._shift.flatten()

    def normalised(self, pixels: Tensor) -> Tensor:
        """``pixels`` [B, 3, H, W] of this set as the float32 that a network sees, in the same layout."""
        if not self.stored_as_bytes:
            return pixels
        return torch.addcmul(self._shift.to(pixels.device), pixels, self._scale.to(pixels.device))

    @cached_property
    def _scale(self) -> Tensor:
        return 1 / (255 * self._per_channel(self.std))

    @cached_property
    def _shift(self) -> Tensor:
        return -self._per_channel(self.mean) / self._per_channel(self.std)

    def _per_channel(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self.pixels.device).view(3, 1, 1)


@dataclass(frozen=True, eq=False)
class LabelledImages(Images):
    """Images to be scored on, with the class of each."""

    targets: Tensor
    """int64 [N]."""

    def to(self, device: torch.device | str) -> "LabelledImages":
        """The same images and targets on ``device``."""
        return replace(self, pixels=self.pixels.to(device), targets=self.targets.to(device))
