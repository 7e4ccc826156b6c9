"""Sizes of crops, distributed as in torchvision's RandomResizedCrop, from shares of the area and aspect ratios.

torchvision draws a share and a ratio up to ten times and takes the first crop that lies within the image, or else the
largest crop of an allowed ratio in the centre. The caller draws the random numbers, so that they do not depend on the
number of crops that are drawn together.
"""

import numpy as np

ATTEMPTS = 10
"""Number of attempts before the centre of the image is taken."""


def crop_sizes(
    share: np.ndarray, ratio: np.ndarray, size: tuple[int, int], ratio_max: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Height and width, int64 [n], of the first crop that fits, and bool [n], which is False where none does.

    ``share`` (of the image's area) and ``ratio`` (width / height) are float [ATTEMPTS, n]; ``size`` is that of the
    image, (H, W). Where no crop fits, the size is that of the largest crop with a ratio between 1 / ``ratio_max`` and
    ``ratio_max``.
    """
    image_height, image_width = size
    area = image_height * image_width * share
    heights, widths = (np.rint(np.sqrt(x)).astype(np.int64) for x in (area / ratio, area * ratio))
    fitting = (0 < heights) & (heights <= image_height) & (0 < widths) & (widths <= image_width)
    first = fitting.argmax(axis=0), np.arange(share.shape[1])
    fits = fitting.any(axis=0)
    middle_height, middle_width = _largest(ratio_max, size)
    return np.where(fits, heights[first], middle_height), np.where(fits, widths[first], middle_width), fits


def _largest(ratio_max: float, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the largest crop with an allowed ratio."""
    height, width = size
    if width / height < 1 / ratio_max:
        return round(width * ratio_max), width
    if width / height > ratio_max:
        return height, round(height * ratio_max)
    return height, width
