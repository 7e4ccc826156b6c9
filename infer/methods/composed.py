"""Composed images that are made when they are asked for: natural images and compensators, added batch by batch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from infer.data.on_demand import OnDemand
from infer.formats.pixels import normalise, valid_range


class ComposedOnDemand(OnDemand):
    """What ``compose`` gives for ``natural`` uint8 [K, C, 3, H, W] and ``compensators`` float32 [M, K, 3, H, W], image
    by image, in the memory of its parts."""

    def __init__(self, natural: Tensor, compensators: Tensor, mean: Sequence[float], std: Sequence[float]) -> None:
        self._blocks = len(compensators) + 1
        super().__init__(natural[:, :, 0, 0, 0].numel() * self._blocks, natural.shape[-1], torch.float32)
        self._natural, self._compensators = natural, compensators
        self._mean, self._std = mean, std

    def made(self, rows: Tensor) -> Tensor:
        """Normalised images, clipped to the valid range."""
        classes = self._natural.shape[1]
        subset, within = rows // (self._blocks * classes), rows % (self._blocks * classes)
        block, target = within // classes, within % classes
        images = normalise(self._natural[subset, target], self._mean, self._std)
        low, high = valid_range(self._mean, self._std)
        added_to = block > 0
        compensators = self._compensators[block[added_to] - 1, subset[added_to]]
        images[added_to] = (images[added_to] + compensators).clamp(low, high)
        return images
