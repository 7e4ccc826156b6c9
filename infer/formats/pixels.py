"""Combination of the decoded images of a set to one tensor."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from infer.errors import UsageError


def of_one_size(images: Iterable[tuple[object, np.ndarray]], count: int) -> Tensor:
    """Tensor uint8 [count, 3, H, W] of ``count`` images uint8 [H, W, 3], each with its name for messages.

    There must be at least one image. Raises UsageError where their sizes differ.
    """
    together = torch.empty(0)
    first: object = None
    for row, (name, pixels) in enumerate(images):
        height, width = pixels.shape[:2]
        if row == 0:
            first, together = name, torch.empty(count, 3, height, width, dtype=torch.uint8)
        if (height, width) != tuple(together.shape[-2:]):
            raise UsageError(
                f"{name} is {width}x{height} pixels and {first} is {together.shape[-1]}x{together.shape[-2]}: the "
                "images of a set have one size"
            )
        together[row] = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
    return together
