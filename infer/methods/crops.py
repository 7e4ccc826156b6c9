"""Random resized crops of a whole batch at once: every crop its own square, all of them resampled by two products.

Resampling with antialiasing is linear in the image and separable: crop = rows · image · columnsᵀ, with one small matrix
of weights per crop and axis. The result is that of torchvision's ``resized_crop(antialias=True)`` on float images,
which takes one crop at a time.
"""

import numpy as np
import torch
from torch import Tensor


def random_squares(uniform: np.ndarray, image_size: int, scale_min: float) -> Tensor:
    """Squares (top, left, side) in pixels, int64 [..., 3], from numbers ``uniform`` [..., 3] in [0, 1).

    The area is uniform between the shares ``scale_min`` and 1 of the image, then the place is: RandomResizedCrop with
    ``scale=(scale_min, 1), ratio=(1, 1)`` on square images.
    """
    area, *corner = np.moveaxis(uniform, -1, 0)
    side = np.maximum(1, np.rint(image_size * np.sqrt(scale_min + (1 - scale_min) * area)))
    corner = [np.floor(place * (image_size - side + 1)) for place in corner]
    return torch.from_numpy(np.stack([*corner, side], axis=-1)).long()


def resized_crops(images: Tensor, squares: Tensor, size: int) -> Tensor:
    """The crops ``squares`` int64 [B, n, 3] of floating-point ``images`` [B, 3, S, S]: [B, n, 3, size, size].

    Bilinear with antialiasing; pixels outside a square have no part in its crop.
    """
    top, left, side = squares.unbind(-1)
    height, width = images.shape[-2:]
    rows = resampling_weights(top, side, height, size, images.dtype)
    columns = resampling_weights(left, side, width, size, images.dtype)
    bands = (rows.flatten(1, 2).unsqueeze(1) @ images).unflatten(2, (-1, size))  # [B, 3, n, size, W]
    return bands.transpose(1, 2) @ columns.unsqueeze(2).mT


def resampling_weights(start: Tensor, side: Tensor, length: int, size: int, dtype: torch.dtype) -> Tensor:
    """What each of ``length`` pixels contributes to each of ``size`` resampled ones: [..., size, length].

    ``start`` and ``side`` [...] say which pixels of an axis are resampled. A triangle around the centre of each
    resampled pixel, as wide as that pixel where the crop is reduced and as a pixel of the image where it is enlarged.
    """
    start, side = start[..., None, None], side[..., None, None].to(dtype)
    pixel = torch.arange(length, device=start.device) - start
    steps = side / size
    centre = steps * (torch.arange(size, device=start.device, dtype=dtype)[:, None] + 0.5)
    weights = (1 - ((pixel + 0.5 - centre) / steps.clamp_min(1)).abs()).clamp_min(0)
    weights = weights * ((pixel >= 0) & (pixel < side))
    return weights / weights.sum(-1, keepdim=True)
