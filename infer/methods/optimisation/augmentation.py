"""Augmentation of the images under optimisation: a random crop, mirroring and roll, drawn anew in every iteration.

All images of a group share one draw, as in the published code. Each group has its own random generators, so that its
draws depend neither on the batch in which the group is optimised nor on the number of iterations.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from infer.seeds import generator
from infer.training.random_resized_crop import ATTEMPTS, crop_sizes
from infer.training.resampling import resampling_weights

_RATIO_MAX = 4 / 3
"""Largest aspect ratio of a crop; the smallest is its inverse, as in RandomResizedCrop."""


GroupKey = tuple[int | str, ...]
"""Key of a group of images, which selects its random streams."""


@dataclass(frozen=True)
class Transform:
    """Linear transform of G groups in one iteration: crop, mirror, then roll."""

    rolls: Tensor
    """int64 [G, 2]: pixels down and right."""
    crops: Tensor | None = None
    """int64 [G, 5]: top, left, height and width of the crop that is resized to the whole image, and 1 where it is then
    mirrored left to right; None: no crop and no mirroring."""

    def __call__(self, images: Tensor) -> Tensor:
        """The transformed ``images`` [G, ..., H, W], in the same shape."""
        if self.crops is None:
            moved: Tensor = _Roll.apply(images, self.rolls)
            return moved
        height, width = images.shape[-2:]
        top, left, rows, columns, mirrored = self.crops.unbind(1)
        y, x = _unrolled(height, self.rolls[:, :1]), _unrolled(width, self.rolls[:, 1:])
        x = torch.where(mirrored.bool()[:, None], width - 1 - x, x)
        down = resampling_weights(top, rows, height, height, images.dtype).take_along_dim(y[:, :, None], dim=1)
        across = resampling_weights(left, columns, width, width, images.dtype).take_along_dim(x[:, :, None], dim=1)
        # Matrix products have the same shapes for every crop, need no number from the device, and sum gradients in the
        # same order every time. The gradient of F.interpolate on a GPU is summed in a varying order.
        return torch.stack([d @ (image @ a.T) for d, image, a in zip(down, images, across, strict=True)])


@dataclass(frozen=True)
class Transforms:
    """Transforms of all iterations; item t is the ``Transform`` of iteration t."""

    rolls: Tensor
    """int64 [iterations, G, 2], see ``Transform``."""
    crops: Tensor | None = None
    """int64 [iterations, G, 5], see ``Transform``."""

    def __getitem__(self, iteration: int) -> Transform:
        return Transform(self.rolls[iteration], None if self.crops is None else self.crops[iteration])

    def to(self, device: torch.device) -> "Transforms":
        """The same transforms on ``device``."""
        return Transforms(self.rolls.to(device), None if self.crops is None else self.crops.to(device))


@dataclass(frozen=True)
class Augmentation:
    """Distribution from which transforms are drawn."""

    jitter_px: int
    """Images are rolled by 0..jitter_px pixels down and right."""
    two_sided: bool = False
    """Images are rolled by -jitter_px..jitter_px pixels instead."""
    crop_scale_min: float | None = None
    """Smallest area of a crop as a fraction of the image's area; None: no crop and no mirroring."""
    crop_milestone: float = 0.0
    """Fraction of the iterations during which the smallest crop falls to ``crop_scale_min``, see ``smallest_crops``."""

    def draw(self, seed: int, groups: Iterable[GroupKey], iterations: int, size: int) -> Transforms:
        """Transforms for ``groups`` of images of ``size`` x ``size`` pixels, each from its own random numbers."""
        groups = list(groups)
        rolls = draw_rolls(seed, groups, iterations, -self.jitter_px if self.two_sided else 0, self.jitter_px)
        if self.crop_scale_min is None:
            return Transforms(rolls)
        smallest = smallest_crops(iterations, self.crop_scale_min, self.crop_milestone)
        return Transforms(rolls, draw_crops(seed, groups, smallest, size))


def draw_rolls(seed: int, groups: Iterable[GroupKey], iterations: int, least_px: int, most_px: int) -> Tensor:
    """Rolls (down, right) of ``least_px`` to ``most_px`` pixels: int64 [iterations, G, 2]."""
    generators = [generator(seed, "jitter", *group) for group in groups]
    rolls = [rng.integers(least_px, most_px + 1, size=(iterations, 2)) for rng in generators]
    return torch.stack([torch.from_numpy(roll) for roll in rolls], dim=1)


def smallest_crops(iterations: int, scale_min: float, milestone: float) -> np.ndarray:
    """Smallest area of a crop in each iteration, as a fraction of the image's area: [iterations].

    During the first ``milestone``·iterations it follows a cosine from 1 to ``scale_min`` (CDA's curriculum); afterwards
    it is ``scale_min``. A milestone of 0, the default of the published script, means no curriculum.
    """
    if milestone == 0:
        return np.full(iterations, scale_min)
    progress = np.minimum(np.arange(iterations) / (milestone * iterations), 1)
    return scale_min + (1 - scale_min) * (1 + np.cos(np.pi * progress)) / 2


def draw_crops(seed: int, groups: Iterable[GroupKey], smallest: np.ndarray, size: int) -> Tensor:
    """Random crops and mirrorings, distributed as in torchvision's RandomResizedCrop and RandomHorizontalFlip.

    Returns int64 [iterations, G, 5] as in ``Transform``. The crop of iteration t covers a fraction between
    ``smallest[t]`` and 1 of the area of an image of ``size`` x ``size`` pixels.
    """
    crops = [_crops_of_group(generator(seed, "crop", *group), smallest, size) for group in groups]
    return torch.stack([torch.from_numpy(crop) for crop in crops], dim=1)


def _crops_of_group(rng: np.random.Generator, smallest: np.ndarray, size: int) -> np.ndarray:
    """Crops and mirrorings of one group: int64 [iterations, 5]."""
    uniform = rng.random((len(smallest), 2 * ATTEMPTS + 3)).T
    share = smallest + (1 - smallest) * uniform[:ATTEMPTS]
    low, high = math.log(3 / 4), math.log(_RATIO_MAX)
    ratio = np.exp(low + (high - low) * uniform[ATTEMPTS : 2 * ATTEMPTS])
    height, width, _ = crop_sizes(share, ratio, (size, size), _RATIO_MAX)
    top, left = ((uniform[-3 + i] * (size - edge + 1)).astype(np.int64) for i, edge in enumerate((height, width)))
    return np.stack([top, left, height, width, (uniform[-1] < 0.5).astype(np.int64)], axis=1)


def rolled(images: Tensor, shifts: Tensor) -> Tensor:
    """``torch.roll`` of every ``images[g]`` [..., H, W] by its own ``shifts[g]`` (down, right), in one gather."""
    height, width = images.shape[-2:]
    source = _unrolled(height, shifts[:, :1])[:, :, None] * width + _unrolled(width, shifts[:, 1:])[:, None, :]
    source = source.flatten(1).view(len(images), *[1] * (images.dim() - 3), -1)
    return torch.take_along_dim(images.flatten(-2), source, dim=-1).view_as(images)


class _Roll(torch.autograd.Function):
    """``rolled``, whose gradient is computed by the opposite roll in place of a scatter."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, shifts: Tensor) -> Tensor:
        ctx.save_for_backward(shifts)
        return rolled(images, shifts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (shifts,) = ctx.saved_tensors
        return rolled(gradient, -shifts), None


def _unrolled(size: int, shift: Tensor) -> Tensor:
    """Position of each pixel of an axis before a roll by ``shift`` [G, 1]: int64 [G, size]."""
    return (torch.arange(size, device=shift.device) - shift) % size
