"""Division of a batch over the ranks with the results of a single process.

Batch norm computes its statistics over the images of all ranks, and dropout draws for all images and keeps the rows of
this rank, so that results equal those of one process up to rounding, whatever the number of ranks. SyncBatchNorm of
torch works on GPUs only and would have to replace layers of the network; here the function calls are replaced instead.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from infer.ranks import ranks
from infer.training.batch_statistics import Statistics, batch_statistics, pooled

_DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d)


@dataclass(frozen=True)
class Division:
    """Division over the ranks of images that pass a network together."""

    counts: tuple[int, ...]
    """Number of images of every rank. A rank without images passes one that is not counted, since networks do not take
    an empty batch."""

    @classmethod
    def of(cls, count: int) -> "Division":
        """Division of ``count`` images over the ranks that compute together now."""
        return cls(tuple(ranks.shares(count)))

    @property
    def own(self) -> int:
        """Number of images of this rank."""
        return self.counts[ranks.rank]

    @property
    def total(self) -> int:
        """Number of images of all ranks."""
        return sum(self.counts)

    @property
    def share(self) -> float:
        """This rank's fraction of all images."""
        return self.own / self.total

    @property
    def shown(self) -> slice:
        """Positions of the images that this rank passes: its own, or one in place of none."""
        start = sum(self.counts[: ranks.rank])
        return slice(start, start + self.own) if self.own else slice(0, 1)

    def as_one(self, norm_together: bool = True) -> contextlib.AbstractContextManager[object]:
        """Context in which networks in training mode treat the images of all ranks as one batch.

        Unless ``norm_together``, batch norm uses the statistics of this rank's images.
        """
        return _AsOneBatch(self, norm_together)


class _AsOneBatch(TorchFunctionMode):
    """Mode that replaces the functions whose result for one image depends on the other images or on their number."""

    def __init__(self, division: Division, norm_together: bool) -> None:
        super().__init__()
        self._division = division
        self._norm_together = norm_together

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.batch_norm and kwargs["training"] and self._norm_together:
            return _batch_norm(self._division, *args, **{k: v for k, v in kwargs.items() if k != "training"})
        if func in _DROPOUTS and kwargs["training"] and kwargs["p"] and self._is_divided(args[0]):
            return args[0] * func(self._whole(args[0]), p=kwargs["p"])[self._division.shown]
        if func is Tensor.bernoulli_ and self._is_divided(args[0]):
            return args[0].copy_(self._whole(args[0]).bernoulli_(*args[1:], **kwargs)[self._division.shown])
        return func(*args, **kwargs)

    def _is_divided(self, x: Tensor) -> bool:
        """True if the first dimension of ``x`` is that of this rank's images."""
        shown = self._division.shown
        return x.dim() > 0 and len(x) == shown.stop - shown.start

    def _whole(self, x: Tensor) -> Tensor:
        """Ones in the layout of ``x``, with a row for each image of all ranks."""
        ones = torch.ones(self._division.total, *x.shape[1:], dtype=x.dtype, device=x.device)
        is_channels_last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
        return ones.contiguous(memory_format=torch.channels_last) if is_channels_last else ones


def _batch_norm(
    division: Division,
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """``F.batch_norm`` in training mode, for [B, channels, ...], with the statistics of all ranks' images."""
    own = torch.stack(batch_statistics(x.detach().to(torch.promote_types(x.dtype, torch.float32))))
    of_ranks = [Statistics(mean, var) for mean, var in ranks.stacked(own)]
    mean, var = pooled(of_ranks, own.new_tensor(division.counts) / division.total)
    values = division.total * x[0, 0].numel()
    if running_mean is not None and running_var is not None:
        running_mean.mul_(1 - momentum).add_(mean, alpha=momentum)
        running_var.mul_(1 - momentum).add_(var, alpha=momentum * values / max(values - 1, 1))
    normalised: Tensor = _Normalised.apply(x, weight, bias, mean, torch.rsqrt(var + eps), values, division.own > 0)
    return normalised


class _Normalised(torch.autograd.Function):
    """(x - mean) · deviation⁻¹ · weight + bias, with the gradient through the statistics of all ranks' images.

    With xhat = (x - mean) · deviation⁻¹ and n values per channel, the gradient is
    weight · deviation⁻¹ · (dy - sum(dy) / n - xhat · sum(dy · xhat) / n), with sums over all ranks.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        inverse: Tensor,
        values: int,
        counts: bool,
    ) -> Tensor:
        scale = inverse if weight is None else inverse * weight
        shift = -mean * scale if bias is None else bias - mean * scale
        ctx.save_for_backward(x, mean, inverse, scale)
        ctx.values, ctx.counts, ctx.affine = values, counts, weight is not None
        return torch.addcmul(_channels(shift, x), x.to(mean.dtype), _channels(scale, x)).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, inverse, scale = ctx.saved_tensors
        rest = [0, *range(2, x.dim())]
        dy = gradient.to(mean.dtype)
        xhat = (x.to(mean.dtype) - _channels(mean, x)) * _channels(inverse, x)
        own = torch.stack([dy.sum(rest), (dy * xhat).sum(rest)])
        total = own.clone()
        ranks.add_up(total)
        offset, slope = total / ctx.values
        dx = _channels(scale, x) * (dy - _channels(offset, x) - xhat * _channels(slope, x))
        dx = dx.to(x.dtype) if ctx.counts else torch.zeros_like(x)
        return dx, *((own[1], own[0]) if ctx.affine else (None, None)), None, None, None, None


def _channels(values: Tensor, x: Tensor) -> Tensor:
    """``values`` [channels], reshaped to broadcast with ``x`` [B, channels, ...]."""
    return values.view(1, -1, *[1] * (x.dim() - 2))
