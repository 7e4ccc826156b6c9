"""Images as they are stored, and their conversion to the input of a network."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import center_crop, resize

from infer.data.on_demand import OnDemand, OnHost, Pixels
from infer.normalisation import Normalisation, Renormalise
from infer.training.prefetch import prefetched

_DEVICE_SHARE = 1 / 8
"""Largest share of a GPU's memory for images; training adds a padded copy, and the network needs the rest."""


@dataclass(frozen=True, eq=False)
class Images:
    """N images, held on one device or loaded on demand.

    uint8 pixels are real images, which are normalised batch by batch when they are used. float32 pixels are already
    normalised (composed images: clipped to the valid range, not quantised) and used as they are.
    """

    pixels: Pixels
    """uint8 or float32 [N, 3, H, W]."""
    normalisation: Normalisation
    """Normalisation that uint8 pixels need, or that float32 pixels already have."""

    def __len__(self) -> int:
        return len(self.pixels)

    def to(self, device: torch.device | str) -> Self:
        """The same images on ``device``; where they would fill its memory, each batch is moved when it is used."""
        return replace(self, pixels=_sent(self.pixels, torch.device(device)))

    def renormalised(self, normalisation: Normalisation) -> Self:
        """The same images for a network that expects pixels with ``normalisation``."""
        if normalisation == self.normalisation:
            return self
        pixels = self.pixels
        if not self.stored_as_bytes:
            change = Renormalise(self.normalisation, normalisation)
            pixels = pixels.changed(change) if isinstance(pixels, OnDemand) else change.to(pixels.device)(pixels)
        return replace(self, pixels=pixels, normalisation=normalisation)

    def chunk(self, rows: slice) -> Tensor:
        """The pixels of the images in ``rows``."""
        return self.pixels[rows]

    def chunks(self, rows: Iterable[slice]) -> Iterator[Tensor]:
        """``chunk`` of each of ``rows``; images on demand are loaded ahead of use."""
        return prefetched(self.chunk, rows) if isinstance(self.pixels, OnDemand) else map(self.chunk, rows)

    @property
    def stored_as_bytes(self) -> bool:
        """True if the pixels are uint8 and not normalised yet."""
        return self.pixels.dtype == torch.uint8

    @property
    def black(self) -> Tensor:
        """Value [3] of a black pixel in ``pixels``: 0 for uint8, (0 - mean) / std for normalised images."""
        shift = self._scale_and_shift[1].flatten()
        return torch.zeros_like(shift) if self.stored_as_bytes else shift

    def normalised(self, pixels: Tensor) -> Tensor:
        """``pixels`` [B, 3, H, W] of this set as float32 input of a network, in the same memory layout."""
        if not self.stored_as_bytes:
            return pixels
        scale, shift = (values.to(pixels.device) for values in self._scale_and_shift)
        return torch.addcmul(shift, pixels, scale)

    @cached_property
    def _scale_and_shift(self) -> tuple[Tensor, Tensor]:
        scale, shift = self.normalisation.scale_and_shift
        return scale.to(self.pixels.device), shift.to(self.pixels.device)


@dataclass(frozen=True, eq=False)
class LabelledImages(Images):
    """Images to test a network on, with their classes."""

    targets: Tensor
    """int64 [N]: class of each image."""
    enlarged_to: int | None = None
    """Length in pixels to which the shorter side is enlarged before a centre crop of the image's own size; None: images
    are not enlarged."""

    def chunk(self, rows: slice) -> Tensor:
        """The pixels of the images in ``rows``, enlarged and cropped as ``enlarged_to`` says."""
        pixels = self.pixels[rows]
        if self.enlarged_to is None:
            return pixels
        enlarged: Tensor = center_crop(resize(pixels, [self.enlarged_to], antialias=True), list(pixels.shape[2:]))
        return enlarged

    def to(self, device: torch.device | str) -> Self:
        """The images moved as by ``Images.to``, and the targets on ``device``."""
        return replace(super().to(device), targets=self.targets.to(device))


def _sent(pixels: Pixels, device: torch.device) -> Pixels:
    if isinstance(pixels, Tensor) and device.type == "cuda":
        _, memory = torch.cuda.mem_get_info(device)
        if pixels.nbytes > _DEVICE_SHARE * memory:
            pixels = OnHost(pixels)
    return pixels.to(device)
