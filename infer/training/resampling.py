"""Resampling of different square crops of a whole batch at once, by two matrix products.

Resampling with antialiasing is linear in the image and separable: crop = rows · image · columnsᵀ, with one small matrix
of weights per crop and axis. The result equals that of torchvision's ``resized_crop(antialias=True)`` on float images,
which takes one crop at a time.
"""

import torch
from torch import Tensor


def resized_crops(images: Tensor, squares: Tensor, size: int) -> Tensor:
    """The crops ``squares`` int64 [B, n, 3] of floating-point ``images`` [B, 3, S, S]: [B, n, 3, size, size].

    The interpolation is bilinear with antialiasing; pixels outside a square do not contribute to its crop.
    """
    top, left, side = squares.unbind(-1)
    height, width = images.shape[-2:]
    rows = resampling_weights(top, side, height, size, images.dtype)
    columns = resampling_weights(left, side, width, size, images.dtype)
    bands = torch.unflatten(rows.flatten(1, 2).unsqueeze(1) @ images, 2, (-1, size))  # [B, 3, n, size, W]
    return bands.transpose(1, 2) @ columns.unsqueeze(2).mT


def resampling_weights(start: Tensor, side: Tensor, length: int, size: int, dtype: torch.dtype) -> Tensor:
    """Weights of the ``length`` pixels of an axis in each of ``size`` resampled pixels: [..., size, length].

    ``start`` [...] is the first pixel that is resampled and ``side`` [...] the number of pixels. The weights of a
    resampled pixel are a triangle around its centre, whose half-width is one resampled pixel where the crop is reduced,
    and one pixel of the image where it is enlarged.
    """
    start, side = start[..., None, None], side[..., None, None].to(dtype)
    pixel = torch.arange(length, device=start.device) - start
    steps = side / size
    centre = steps * (torch.arange(size, device=start.device, dtype=dtype)[:, None] + 0.5)
    weights = (1 - ((pixel + 0.5 - centre) / steps.clamp_min(1)).abs()).clamp_min(0)
    weights = weights * ((pixel >= 0) & (pixel < side))
    return weights / weights.sum(-1, keepdim=True)
