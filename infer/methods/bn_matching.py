"""Batch-norm matching: a frozen teacher that also measures how far a batch is from its training data.

The penalty of one group of images is sum_l w_l (||mean_l - running_mean_l||_2 + v ||var_l - running_var_l||_2) over the
BatchNorm layers in the order in which they fire (Yin et al. 2020, "Dreaming to Distill", eq. 4; the weights w_l as in
SRe2L and UFC, v as in DWA). Several groups share one batch, and each has statistics and a penalty of its own.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from infer.errors import UsageError


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
        self._penalties = _Penalties()
        if not _replace_norms(network, self._penalties, variance_weight):
            raise self._without_norms("has no BatchNorm layer")
        self.network = network
        self.eval()

    def forward(self, images: Tensor, groups: int) -> tuple[Tensor, Tensor]:
        """Logits [G*C, classes] and penalties [G] of ``groups`` = G groups of C consecutive images [G*C, 3, H, W]."""
        self._penalties.start(groups)
        logits = self.network(images)
        penalties = self._penalties.finish()
        if not penalties:
            raise self._without_norms("runs none of its BatchNorm layers")
        penalties[0] = penalties[0] * self.first_bn_multiplier
        return logits, torch.stack(penalties).sum(0)

    def _without_norms(self, what: str) -> UsageError:
        return UsageError(
            f"Teacher {self.name!r} {what}, but this method matches BatchNorm statistics: choose other teachers, "
            "for example teachers.archs=[resnet18,mobilenetv2], or a method without matching: method=random"
        )


class _Penalties:
    """What the layers of one forward pass have noted, in the order in which they fired: a list of [G]."""

    def __init__(self) -> None:
        self.start(1)

    def start(self, groups: int) -> None:
        self.groups = groups
        self.noted: list[Tensor] = []

    def finish(self) -> list[Tensor]:
        # Nothing may stay behind: it would keep the graph of this pass, and its activations, in memory.
        noted, self.noted = self.noted, []
        return noted


def has_matchable_norms(network: nn.Module) -> bool:
    """Whether ``network`` has BatchNorm layers whose statistics can be matched."""
    return any(_is_matchable(module) for module in network.modules())


def _is_matchable(module: nn.Module) -> bool:
    return isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm) and module.running_mean is not None


def _replace_norms(network: nn.Module, penalties: _Penalties, variance_weight: float) -> int:
    """Wraps every BatchNorm layer with running statistics in place; how many there were."""
    count = 0
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if _is_matchable(child):
                setattr(module, name, _MatchedNorm(child, penalties, variance_weight))
                count += 1
    return count


class _MatchedNorm(nn.Module):
    """A BatchNorm layer that notes the penalty of its input and then does what it always did."""

    def __init__(self, norm: nn.BatchNorm2d | nn.SyncBatchNorm, penalties: _Penalties, variance_weight: float) -> None:
        super().__init__()
        self.register_buffer("running_mean", norm.running_mean.clone())
        self.register_buffer("running_var", norm.running_var.clone())
        self.penalties, self.variance_weight = penalties, variance_weight
        # A subclass may do more (timm's BatchNormAct2d also activates), so it is called as it is.
        self.norm = _FrozenNorm(norm) if type(norm) in (nn.BatchNorm2d, nn.SyncBatchNorm) else norm

    def forward(self, x: Tensor) -> Tensor:
        statistics = self.running_mean, self.running_var
        penalty = matching_penalty(x, *statistics, self.penalties.groups, self.variance_weight)
        self.penalties.noted.append(penalty)
        return self.norm(x)


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
    x: Tensor, running_mean: Tensor, running_var: Tensor, groups: int, variance_weight: float = 1.0
) -> Tensor:
    """||mean - running_mean||_2 + v ||var - running_var||_2 for each of the groups of ``x`` [G*C, channels, H, W]: [G].

    Mean and (biased) variance are over the C images and all pixels of a group; v is ``variance_weight``.
    """
    if torch.compiler.is_compiling():
        return one_pass_penalty(x, running_mean, running_var, groups, variance_weight)
    return AnalyticPenalty.apply(x, running_mean, running_var, groups, variance_weight)


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
    """``matching_penalty`` without compilation: its gradient in closed form, a multiply-add over the input.

    With m of length 1 along mean - running_mean, v of length ``variance_weight`` along var - running_var, and n values
    per channel and group, the gradient at one value x of a channel is (m + 2 v (x - mean)) / n.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, running_mean: Tensor, running_var: Tensor, groups: int, variance_weight: float = 1.0
    ) -> Tensor:
        mean, var = group_statistics(x, groups)
        mean_gap, var_gap = mean - running_mean, var - running_var
        ctx.save_for_backward(x, mean, F.normalize(mean_gap, dim=1), variance_weight * F.normalize(var_gap, dim=1))
        return torch.linalg.vector_norm(mean_gap, dim=1) + variance_weight * torch.linalg.vector_norm(var_gap, dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        x, mean, mean_direction, var_direction = ctx.saved_tensors
        groups, channels = mean.shape
        values = x.numel() // (groups * channels)
        slope = grad[:, None] * var_direction * (2 / values)
        offset = grad[:, None] * mean_direction / values - slope * mean
        broadcast = (groups, 1, channels, 1, 1)
        grouped = x.unflatten(0, (groups, -1))
        gradient = torch.addcmul(offset.view(broadcast), grouped, slope.view(broadcast))
        return gradient.flatten(0, 1), None, None, None, None


def group_statistics(x: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Mean and biased variance [G, channels] of each group of ``x`` [G*C, channels, H, W]."""
    if x.device.type == "cpu":
        # On a CPU torch.var_mean is scalar code, 7 to 30 times slower than batch norm's own statistics.
        parts = [torch.batch_norm_update_stats(part, None, None, 0.0) for part in x.chunk(groups)]
        return torch.stack([mean for mean, _ in parts]), torch.stack([var for _, var in parts])
    var, mean = torch.var_mean(x.unflatten(0, (groups, -1)), dim=(1, 3, 4), correction=0)
    return mean, var
