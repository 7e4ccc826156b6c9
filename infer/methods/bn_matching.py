"""Batch-norm matching: a frozen teacher that also measures how far a batch is from its training data.

The penalty of one group of images is sum_l w_l (||mean_l - running_mean_l||_2 + v ||var_l - running_var_l||_2) over the
BatchNorm layers in the order in which they fire (Yin et al. 2020, "Dreaming to Distill", eq. 4; the weights w_l as in
SRe2L and UFC, v as in DWA). Several groups share one batch, and each has statistics and a penalty of its own. Images
that are a part of larger groups can be matched by the statistics of the whole, so that it may pass in parts.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from infer.errors import UsageError
from infer.methods.batch_statistics import Statistics, group_statistics


class MatchedTeacher(nn.Module):
    """A frozen copy of ``teacher`` in evaluation mode whose BatchNorm layers also measure the matching penalty.

    ``teacher`` itself is left as it was. Raises UsageError if it has no BatchNorm layers.
    """

    def __init__(
        self,
        teacher: nn.Module,
        first_bn_multiplier: float,
        dtype: torch.dtype = torch.float32,
        name: str = "",
        variance_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.name = name or type(teacher).__name__
        self.first_bn_multiplier = first_bn_multiplier
        network = copy.deepcopy(teacher).requires_grad_(False)
        network.to(dtype=dtype, memory_format=torch.channels_last)
        self._observed = _Observed()
        if not _replace_norms(network, self._observed, variance_weight):
            raise self._without_norms("has no BatchNorm layer")
        self.network = network
        self.eval()

    def forward(
        self, images: Tensor, groups: int, of_whole: Sequence[Statistics] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits [G*C, classes] and penalties [G] of ``groups`` = G groups of C consecutive images [G*C, 3, H, W].

        ``of_whole`` are the statistics of larger groups that these are a part of, see ``matching_penalty``, of every
        layer in the order in which they fire.
        """
        self._observed.start(groups, of_whole=of_whole)
        logits = self.network(images)
        penalties = self._finished()
        penalties[0] = penalties[0] * self.first_bn_multiplier
        return logits, torch.stack(penalties).sum(0)

    def statistics(self, images: Tensor, groups: int) -> list[Statistics]:
        """What every layer sees of the groups that ``forward`` is given, in the order in which the layers fire."""
        self._observed.start(groups, only_statistics=True)
        self.network(images)
        return self._finished()

    def _finished(self) -> list:
        noted = self._observed.finish()
        if not noted:
            raise self._without_norms("runs none of its BatchNorm layers")
        return noted

    def _without_norms(self, what: str) -> UsageError:
        return UsageError(
            f"Teacher {self.name!r} {what}, but this method matches BatchNorm statistics: choose other teachers, "
            "for example teachers.archs=[resnet18,mobilenetv2], or a method without matching: method=random"
        )


class _Observed:
    """What is looked for in one forward pass, and what the layers have noted, in the order in which they fired."""

    def __init__(self) -> None:
        self.start(1)

    def start(self, groups: int, of_whole: Sequence[Statistics] | None = None, only_statistics: bool = False) -> None:
        self.groups, self.only_statistics = groups, only_statistics
        self._of_whole = of_whole
        self.noted: list[Any] = []

    @property
    def of_whole(self) -> Statistics | None:
        """Those that the next layer is matched by in place of its own."""
        return None if self._of_whole is None else self._of_whole[len(self.noted)]

    def finish(self) -> list[Any]:
        # Nothing may stay behind: it would keep the graph of this pass, and its activations, in memory.
        noted, self.noted, self._of_whole = self.noted, [], None
        return noted


def has_matchable_norms(network: nn.Module) -> bool:
    """Whether ``network`` has BatchNorm layers whose statistics can be matched."""
    return any(_is_matchable(module) for module in network.modules())


def _is_matchable(module: nn.Module) -> bool:
    return isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm) and module.running_mean is not None


def _replace_norms(network: nn.Module, observed: _Observed, variance_weight: float) -> int:
    """Wraps every BatchNorm layer with running statistics in place; how many there were."""
    count = 0
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if _is_matchable(child):
                setattr(module, name, _MatchedNorm(child, observed, variance_weight))
                count += 1
    return count


class _MatchedNorm(nn.Module):
    """A BatchNorm layer that notes the penalty or statistics of its input and then does what it always did."""

    def __init__(self, norm: nn.BatchNorm2d | nn.SyncBatchNorm, observed: _Observed, variance_weight: float) -> None:
        super().__init__()
        self.register_buffer("running_mean", norm.running_mean.clone())
        self.register_buffer("running_var", norm.running_var.clone())
        self.observed, self.variance_weight = observed, variance_weight
        # A subclass may do more (timm's BatchNormAct2d also activates), so it is called as it is.
        self.norm = _FrozenNorm(norm) if type(norm) in (nn.BatchNorm2d, nn.SyncBatchNorm) else norm

    def forward(self, x: Tensor) -> Tensor:
        self.observed.noted.append(self._observe(x))
        return self.norm(x)

    def _observe(self, x: Tensor) -> Tensor | Statistics:
        groups = self.observed.groups
        if self.observed.only_statistics:
            return group_statistics(x, groups)
        running, of_whole = (self.running_mean, self.running_var), self.observed.of_whole
        return matching_penalty(x, *running, groups, self.variance_weight, of_whole)


class _FrozenNorm(nn.Module):
    """Batch norm in evaluation mode as one multiply-add.

    Its backward multiplies once; that of ``F.batch_norm`` on a CPU made whole iterations 1.3 to 2.2 times slower.
    """

    def __init__(self, norm: nn.BatchNorm2d | nn.SyncBatchNorm) -> None:
        super().__init__()
        scale = torch.rsqrt(norm.running_var + norm.eps)
        scale = scale if norm.weight is None else scale * norm.weight
        shift = -norm.running_mean * scale
        shift = shift if norm.bias is None else shift + norm.bias
        self.register_buffer("scale", scale.detach().view(-1, 1, 1))
        self.register_buffer("shift", shift.detach().view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.shift, x, self.scale)


def matching_penalty(
    x: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    groups: int,
    variance_weight: float = 1.0,
    of_whole: Statistics | None = None,
) -> Tensor:
    """||mean - running_mean||_2 + v ||var - running_var||_2 for each of the groups of ``x`` [G*C, channels, H, W]: [G].

    Mean and (biased) variance are over the C images and all pixels of a group; v is ``variance_weight``. Given
    ``of_whole``, the statistics of larger groups that those of x are a part of, the penalty is that of the whole. Its
    gradient is then such that the mean over all parts of a whole, weighted by their number of images, has the gradient
    of the whole's penalty.
    """
    if torch.compiler.is_compiling() and of_whole is None:
        return one_pass_penalty(x, running_mean, running_var, groups, variance_weight)
    mean, var = of_whole or group_statistics(x.detach(), groups)
    return AnalyticPenalty.apply(x, mean, var, running_mean, running_var, variance_weight)


def one_pass_penalty(
    x: Tensor, running_mean: Tensor, running_var: Tensor, groups: int, variance_weight: float = 1.0
) -> Tensor:
    """``matching_penalty`` for torch.compile, which fuses both sums and the batch norm that follows into one pass.

    The shift by the running mean keeps mean(d^2) - mean(d)^2 accurate: the optimisation pulls mean(d) to zero.
    """
    deviation = x.unflatten(0, (groups, -1)) - running_mean[:, None, None]
    shift = deviation.mean((1, 3, 4))
    variance = deviation.square().mean((1, 3, 4)) - shift.square()
    variance_gap = torch.linalg.vector_norm(variance - running_var, dim=1)
    return torch.linalg.vector_norm(shift, dim=1) + variance_weight * variance_gap


class AnalyticPenalty(torch.autograd.Function):
    """``matching_penalty`` at given statistics: its gradient in closed form, a multiply-add over the input.

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
        return torch.linalg.vector_norm(mean_gap, dim=1) + variance_weight * torch.linalg.vector_norm(var_gap, dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        x, mean, mean_direction, var_direction = ctx.saved_tensors
        groups, channels = mean.shape
        values = x.numel() // (groups * channels)
        slope = grad[:, None] * var_direction * (2 / values)
        offset = grad[:, None] * mean_direction / values - slope * mean
        broadcast = (groups, 1, channels, 1, 1)
        grouped = x.unflatten(0, (groups, -1))
        gradient = torch.addcmul(offset.view(broadcast), grouped, slope.view(broadcast))
        return gradient.flatten(0, 1), None, None, None, None, None
