"""Images, and the step from their stored form to what a network sees."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import center_crop, resize

from infer.data.on_demand import OnDemand, OnHost, Pixels
from infer.training.prefetch import prefetched

_DEVICE_SHARE = 1 / 8
"""Of a GPU's memory, what images may take; training adds a padded copy, and the network needs the rest."""


class Units(NamedTuple):
    """What pixel values are normalised with, per channel, as values in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class UnitChange(nn.Module):
    """From pixels normalised in ``old`` units to the same in ``new`` ones."""

    def __init__(self, old: Units, new: Units) -> None:
        super().__init__()
        old_mean, old_std, new_mean, new_std = (
            torch.tensor(values, dtype=torch.float32).view(3, 1, 1) for values in (*old, *new)
        )
        self.register_buffer("_scale", old_std / new_std)
        self.register_buffer("_shift", (old_mean - new_mean) / new_std)

    def forward(self, pixels: Tensor) -> Tensor:
        """``pixels`` [B, 3, H, W] in the new units, in the same layout."""
        return torch.addcmul(self._shift, pixels, self._scale)


@dataclass(frozen=True, eq=False)
class Images:
    """N images, on one device or made on demand.

    uint8 pixels are real images, normalised batch by batch when they are used. float32 pixels are in
    normalised units already (composed images: clipped to the valid range, not quantised) and used as is.
    """

    pixels: Pixels
    """uint8 or float32 [N, 3, H, W]."""
    mean: Sequence[float]
    """Per channel, of pixel values in [0, 1]."""
    std: Sequence[float]

    def __len__(self) -> int:
        return len(self.pixels)

    def to(self, device: torch.device | str) -> Self:
        """The same images on ``device``, or batch by batch on their way to it where they would fill it."""
        return replace(self, pixels=_sent(self.pixels, torch.device(device)))

    def renormalised(self, units: Units) -> Self:
        """The same images as a network sees them that was trained with pixels in ``units``."""
        if units == self.units:
            return self
        pixels = self.pixels
        if not self.stored_as_bytes:
            change = UnitChange(self.units, units)
            on_demand = isinstance(pixels, OnDemand)
            pixels = pixels.changed(change) if on_demand else change.to(pixels.device)(pixels)
        return replace(self, pixels=pixels, mean=units.mean, std=units.std)

    def chunk(self, rows: slice) -> Tensor:
        """The pixels of the images in ``rows``."""
        return self.pixels[rows]

    def chunks(self, rows: Iterable[slice]) -> Iterator[Tensor]:
        """``chunk`` of each of ``rows``; images that are made on demand are made ahead."""
        return (prefetched if isinstance(self.pixels, OnDemand) else map)(self.chunk, rows)

    @property
    def units(self) -> Units:
        """What the images are normalised with."""
        return Units(tuple(self.mean), tuple(self.std))

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
    enlarged_to: int | None = None
    """Pixels of the shorter side that an image is enlarged to before its middle, of its own size, is cut out; None: it
    is shown whole."""

    def chunk(self, rows: slice) -> Tensor:
        """The pixels of the images in ``rows`` as they are shown."""
        pixels = self.pixels[rows]
        if self.enlarged_to is None:
            return pixels
        return center_crop(resize(pixels, [self.enlarged_to], antialias=True), list(pixels.shape[2:]))

    def to(self, device: torch.device | str) -> Self:
        """As those of ``Images``, and the targets on ``device``."""
        return replace(super().to(device), targets=self.targets.to(device))


def _sent(pixels: Pixels, device: torch.device) -> Pixels:
    if isinstance(pixels, Tensor) and device.type == "cuda":
        _, memory = torch.cuda.mem_get_info(device)
        if pixels.nbytes > _DEVICE_SHARE * memory:
            pixels = OnHost(pixels)
    return pixels.to(device)
