"""Batch-norm matching: a frozen teacher that also computes the batch-norm penalty of the images that pass it.

The penalty of one group of images is the sum over the BatchNorm layers, in the order in which they fire, of the layers'
penalties (``bn_penalty``), of which the first has a weight of its own, as in SRe2L and UFC.
"""

import copy
from collections.abc import Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from infer.errors import UsageError
from infer.methods.optimisation.bn_penalty import matching_penalty
from infer.training.batch_statistics import Statistics, group_statistics


class MatchedTeacher(nn.Module):
    """A frozen copy of ``teacher`` in evaluation mode whose BatchNorm layers also compute the matching penalty.

    ``teacher`` itself is not changed. With ``in_bf16`` its convolutions and linear layers compute in bf16; batch norm,
    statistics and penalty stay in ``dtype``. Raises UsageError if it has no BatchNorm layers.
    """

    def __init__(
        self,
        teacher: nn.Module,
        first_bn_multiplier: float,
        dtype: torch.dtype = torch.float32,
        name: str = "",
        variance_weight: float = 1.0,
        in_bf16: bool = False,
    ) -> None:
        super().__init__()
        self.name = name or type(teacher).__name__
        self.first_bn_multiplier = first_bn_multiplier
        self._in_bf16 = in_bf16
        network = copy.deepcopy(teacher).requires_grad_(False)
        network.to(dtype).to(memory_format=torch.channels_last)
        self._recorder = _Recorder()
        if not _replace_norms(network, self._recorder, variance_weight):
            raise self._without_norms("has no BatchNorm layer")
        self.network = network
        self.eval()

    def forward(self, images: Tensor, groups: int, whole: Sequence[Statistics] | None = None) -> tuple[Tensor, Tensor]:
        """Logits [G*C, classes] and penalties [G] of ``groups`` = G groups of C consecutive images [G*C, 3, H, W].

        ``whole`` are the statistics, in every layer in the order in which the layers fire, of larger groups that these
        are a part of, see ``bn_penalty.matching_penalty``.
        """
        self._recorder.start(groups, whole=whole)
        logits = self._logits(images)
        penalties = self._recorded()
        penalties[0] = penalties[0] * self.first_bn_multiplier
        return logits, torch.stack(penalties).sum(0)

    def statistics(self, images: Tensor, groups: int) -> list[Statistics]:
        """Statistics of every layer's input, in the order in which the layers fire; arguments as for ``forward``."""
        self._recorder.start(groups, only_statistics=True)
        self._logits(images)
        return self._recorded()

    def _logits(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self._in_bf16):
            logits: Tensor = self.network(images)
        return logits.to(images.dtype)

    def _recorded(self) -> list[Any]:
        values = self._recorder.finish()
        if not values:
            raise self._without_norms("runs none of its BatchNorm layers")
        return values

    def _without_norms(self, what: str) -> UsageError:
        return UsageError(
            f"Teacher {self.name!r} {what}, but this method matches BatchNorm statistics: choose other teachers, "
            "for example teachers.archs=[resnet18,mobilenetv2], or a method without matching: method=random"
        )


class _Recorder:
    """Values that the layers compute in one forward pass, in the order in which they fire."""

    def __init__(self) -> None:
        self.start(1)

    def start(self, groups: int, whole: Sequence[Statistics] | None = None, only_statistics: bool = False) -> None:
        self.groups, self.only_statistics = groups, only_statistics
        self._whole = whole
        self.values: list[Any] = []

    @property
    def whole(self) -> Statistics | None:
        """Statistics that the next layer is matched by in place of its own."""
        return None if self._whole is None else self._whole[len(self.values)]

    def finish(self) -> list[Any]:
        # Whatever stayed here would keep the graph of this pass, and its activations, in memory.
        values, self.values, self._whole = self.values, [], None
        return values


def has_matchable_norms(network: nn.Module) -> bool:
    """True if ``network`` has BatchNorm layers whose statistics can be matched."""
    return any(_is_matchable(module) for module in network.modules())


def _is_matchable(module: nn.Module) -> TypeGuard[nn.BatchNorm2d | nn.SyncBatchNorm]:
    return isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm) and module.running_mean is not None


def _replace_norms(network: nn.Module, recorder: _Recorder, variance_weight: float) -> int:
    """Wrap every BatchNorm layer with running statistics in place; returns their number."""
    count = 0
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if _is_matchable(child):
                setattr(module, name, _MatchedNorm(child, recorder, variance_weight))
                count += 1
    return count


class _MatchedNorm(nn.Module):
    """A BatchNorm layer that also records the penalty or the statistics of its input."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, norm: nn.BatchNorm2d | nn.SyncBatchNorm, recorder: _Recorder, variance_weight: float) -> None:
        super().__init__()
        running_mean, running_var = _running_statistics(norm)
        self.register_buffer("running_mean", running_mean.clone())
        self.register_buffer("running_var", running_var.clone())
        self.recorder, self.variance_weight = recorder, variance_weight
        # A subclass may do more (timm's BatchNormAct2d also activates), so it is called as it is.
        self.norm = _FrozenNorm(norm) if type(norm) in (nn.BatchNorm2d, nn.SyncBatchNorm) else norm

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.running_mean.dtype)  # where a convolution has computed it in bf16
        self.recorder.values.append(self._measure(x))
        normalised: Tensor = self.norm(x)
        return normalised

    def _measure(self, x: Tensor) -> Tensor | Statistics:
        recorder = self.recorder
        if recorder.only_statistics:
            return group_statistics(x, recorder.groups)
        running = self.running_mean, self.running_var
        return matching_penalty(x, *running, recorder.groups, self.variance_weight, recorder.whole)


class _FrozenNorm(nn.Module):
    """Batch norm in evaluation mode as one multiply-add.

    Its backward multiplies once; that of ``F.batch_norm`` on a CPU made whole iterations 1.3 to 2.2 times slower.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, norm: nn.BatchNorm2d | nn.SyncBatchNorm) -> None:
        super().__init__()
        running_mean, running_var = _running_statistics(norm)
        scale = torch.rsqrt(running_var + norm.eps)
        scale = scale if norm.weight is None else scale * norm.weight
        shift = -running_mean * scale
        shift = shift if norm.bias is None else shift + norm.bias
        self.register_buffer("scale", scale.detach().view(-1, 1, 1))
        self.register_buffer("shift", shift.detach().view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.shift, x, self.scale)


def _running_statistics(norm: nn.BatchNorm2d | nn.SyncBatchNorm) -> tuple[Tensor, Tensor]:
    """Running mean and variance of a matchable layer, which has both."""
    assert norm.running_mean is not None and norm.running_var is not None
    return norm.running_mean, norm.running_var
