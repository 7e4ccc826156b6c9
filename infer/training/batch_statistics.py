"""Mean and variance of a layer's input over images that pass together, in groups, in parts, or on several ranks."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Statistics(NamedTuple):
    """Mean and variance of each channel over images and pixels, or over those of each group."""

    mean: Tensor
    """[channels] or, for G groups, [G, channels]."""
    var: Tensor
    """Biased variance, in the same shape."""


def batch_statistics(x: Tensor) -> Statistics:
    """Statistics of ``x`` [B, channels, ...]."""
    if x.device.type == "cpu":  # torch.var_mean is scalar code there, 7 to 30 times slower than batch norm's own
        mean, var = torch.batch_norm_update_stats(x, None, None, 0.0)
    else:
        var, mean = torch.var_mean(x, dim=[0, *range(2, x.dim())], correction=0)
    return Statistics(mean, var)


def group_statistics(x: Tensor, groups: int) -> Statistics:
    """Statistics of ``groups`` = G groups of consecutive images ``x`` [G*C, channels, H, W]."""
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        parts = [batch_statistics(part) for part in x.chunk(groups)]
        return Statistics(torch.stack([part.mean for part in parts]), torch.stack([part.var for part in parts]))
    var, mean = torch.var_mean(torch.unflatten(x, 0, (groups, -1)), dim=(1, 3, 4), correction=0)
    return Statistics(mean, var)


def pooled(parts: Sequence[Statistics], shares: Tensor) -> Statistics:
    """Statistics of all images from those of ``parts``, which hold the fractions ``shares`` [parts] of the images.

    The variance is the mean variance within the parts plus the variance between their means, which avoids cancellation
    of large numbers, so it is as exact as the variances of the parts.
    """
    means = torch.stack([part.mean for part in parts])
    variances = torch.stack([part.var for part in parts])
    weights = shares.view(-1, *[1] * (means.dim() - 1))
    mean = (weights * means).sum(0)
    return Statistics(mean, (weights * (variances + (means - mean).square())).sum(0))
