"""Batch-norm penalty: the distance of a batch's feature statistics from those that a layer was trained on.

In one BatchNorm layer it is ||mean - running_mean||_2 + v ||var - running_var||_2 (Yin et al. 2020, "Dreaming to
Distill", eq. 4; v as in DWA). Several groups of images share one batch, and each has statistics and a penalty of its
own. Where a larger group passes in parts, a part can be matched by the statistics of the whole group.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from infer.training.batch_statistics import Statistics, group_statistics


def matching_penalty(
    x: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    groups: int,
    variance_weight: float = 1.0,
    whole: Statistics | None = None,
) -> Tensor:
    """||mean - running_mean||_2 + v ||var - running_var||_2 for each of the groups of ``x`` [G*C, channels, H, W]: [G].

    Mean and (biased) variance are over the C images and all pixels of a group; v is ``variance_weight``. Given
    ``whole``, the statistics of larger groups that those of x are a part of, the penalty is that of the whole. Its
    gradient is then scaled such that the mean over all parts of a whole, weighted by their number of images, has the
    gradient of the whole's penalty.
    """
    if torch.compiler.is_compiling() and whole is None:
        return one_pass_penalty(x, running_mean, running_var, groups, variance_weight)
    mean, var = whole or group_statistics(x.detach(), groups)
    penalty: Tensor = AnalyticPenalty.apply(x, mean, var, running_mean, running_var, variance_weight)
    return penalty


def one_pass_penalty(
    x: Tensor, running_mean: Tensor, running_var: Tensor, groups: int, variance_weight: float = 1.0
) -> Tensor:
    """``matching_penalty`` in a form that torch.compile fuses with the batch norm that follows into one pass.

    The shift by the running mean keeps mean(d^2) - mean(d)^2 accurate: the optimisation pulls mean(d) to zero.
    """
    deviation = torch.unflatten(x, 0, (groups, -1)) - running_mean[:, None, None]
    shift = deviation.mean((1, 3, 4))
    variance = deviation.square().mean((1, 3, 4)) - shift.square()
    return _weighted_norms(shift, variance - running_var, variance_weight)


def _weighted_norms(mean_gap: Tensor, var_gap: Tensor, variance_weight: float) -> Tensor:
    """||mean_gap||_2 + v ||var_gap||_2 per group: [G]; v is ``variance_weight``."""
    mean_norm: Tensor = torch.linalg.vector_norm(mean_gap, dim=1)
    var_norm: Tensor = torch.linalg.vector_norm(var_gap, dim=1)
    return mean_norm + variance_weight * var_norm


class AnalyticPenalty(torch.autograd.Function):
    """``matching_penalty`` at given statistics, with its gradient in closed form: a multiply-add over the input.

    With m of length 1 along mean - running_mean, v of length ``variance_weight`` along var - running_var, and n values
    per channel and group of x, the gradient at one value x of a channel is (m + 2 v (x - mean)) / n.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        mean: Tensor,
        var: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        variance_weight: float = 1.0,
    ) -> Tensor:
        mean_gap, var_gap = mean - running_mean, var - running_var
        ctx.save_for_backward(x, mean, F.normalize(mean_gap, dim=1), variance_weight * F.normalize(var_gap, dim=1))
        return _weighted_norms(mean_gap, var_gap, variance_weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        x, mean, mean_direction, var_direction = ctx.saved_tensors
        groups, channels = mean.shape
        values = x.numel() // (groups * channels)
        slope = grad[:, None] * var_direction * (2 / values)
        offset = grad[:, None] * mean_direction / values - slope * mean
        broadcast = (groups, 1, channels, 1, 1)
        grouped = torch.unflatten(x, 0, (groups, -1))
        gradient = torch.addcmul(offset.view(broadcast), grouped, slope.view(broadcast))
        return gradient.flatten(0, 1), None, None, None, None, None
