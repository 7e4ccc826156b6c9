"""Mean and variance of a layer's input over groups of images that pass together or in parts."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Statistics(NamedTuple):
    """Mean and variance of each channel in each group, over the group's images and all pixels."""

    mean: Tensor
    """[G, channels]."""
    var: Tensor
    """[G, channels], biased."""


def group_statistics(x: Tensor, groups: int) -> Statistics:
    """Statistics of ``groups`` = G groups of consecutive images ``x`` [G*C, channels, H, W]."""
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        # On a CPU torch.var_mean is scalar code, 7 to 30 times slower than batch norm's own statistics.
        parts = [torch.batch_norm_update_stats(part, None, None, 0.0) for part in x.chunk(groups)]
        return Statistics(torch.stack([mean for mean, _ in parts]), torch.stack([var for _, var in parts]))
    var, mean = torch.var_mean(torch.unflatten(x, 0, (groups, -1)), dim=(1, 3, 4), correction=0)
    return Statistics(mean, var)


def pooled(parts: Sequence[Statistics], shares: Tensor) -> Statistics:
    """Statistics of a whole from those of its ``parts``, which hold ``shares`` [parts] of its images.

    The variance is the mean variance within the parts plus the variance between their means: no large numbers cancel,
    so it is as exact as theirs.
    """
    means = torch.stack([part.mean for part in parts])
    variances = torch.stack([part.var for part in parts])
    weights = shares.view(-1, 1, 1)
    mean = (weights * means).sum(0)
    return Statistics(mean, (weights * (variances + (means - mean).square())).sum(0))
