"""Random square crops of images, distributed as those of torchvision's RandomResizedCrop with an aspect ratio of 1."""

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import resized_crop

from infer.training.random_resized_crop import ATTEMPTS, crop_sizes


def square_crops(uniform: np.ndarray, image_size: int, scale_min: float) -> Tensor:
    """Random square crops (top, left, side) in pixels, int64 [..., 3], from numbers ``uniform`` [..., 3] in [0, 1).

    The distribution is that of RandomResizedCrop with ``scale=(scale_min, 1), ratio=(1, 1)`` on square images, with
    crops of at least one pixel. Every square fits into the image, so one draw is enough.
    """
    area, *corner = np.moveaxis(uniform, -1, 0)
    share = np.maximum(scale_min + (1 - scale_min) * area, 1 / image_size**2)
    side, _, _ = crop_sizes(share.reshape(1, -1), np.ones((1, share.size)), (image_size, image_size), ratio_max=1)
    side = side.reshape(share.shape)
    top, left = (np.floor(position * (image_size - side + 1)).astype(np.int64) for position in corner)
    return torch.from_numpy(np.stack([top, left, side], axis=-1))


def squares_within(uniform: np.ndarray, size: torch.Size, scale_min: float) -> Tensor:
    """Random square crops (top, left, side) in pixels of an image of ``size`` (H, W), int64 [n, 3].

    The distribution is that of RandomResizedCrop with ``scale=(scale_min, 1), ratio=(1, 1)``: the first of ATTEMPTS
    squares that fits into the image or, if none does, the largest square in the centre. ``uniform`` [n, ATTEMPTS + 2]
    holds numbers in [0, 1).
    """
    height, width = size
    share = scale_min + (1 - scale_min) * uniform[:, :ATTEMPTS].T
    side, _, fits = crop_sizes(share, np.ones_like(share), (height, width), ratio_max=1)
    corner = []
    for length, position in zip(size, uniform[:, ATTEMPTS:].T, strict=True):
        spare = length - side
        corner.append(np.where(fits, np.floor(position * (spare + 1)).astype(np.int64), spare // 2))
    return torch.from_numpy(np.stack([*corner, side], axis=-1))


def crops_of(image: Tensor, squares: Tensor, size: int) -> Tensor:
    """The crops ``squares`` int64 [n, 3] of one floating-point ``image`` [3, H, W], resized: [n, 3, size, size].

    Crops are resized one at a time, which is faster for a large image than the matrix products of ``resized_crops``.
    """
    boxes = squares.tolist()
    crops = [resized_crop(image, top, left, side, side, [size, size], antialias=True) for top, left, side in boxes]
    return torch.stack(crops)
