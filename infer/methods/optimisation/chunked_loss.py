"""Loss of more classes than can pass the teacher at once, computed in chunks of classes.

The loss of a group is the mean over its chunks, weighted by their number of classes, and so is its gradient. With
statistics of each chunk's own that is all. With those over all classes there are two passes: the first collects them,
without a graph; in the second the penalty of a chunk is computed from them, with the chunk's part of its gradient.
This is exact, because a teacher in evaluation mode treats every image independently: both passes compute the same
activations, and only the statistics, which are fixed in between, join the images of a group.

Several ranks have chunks of their own, and exchange statistics and gradients.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from infer.methods.infer import ChunkStatistics
from infer.methods.optimisation.augmentation import Transform
from infer.methods.optimisation.bn_matching import MatchedTeacher
from infer.methods.optimisation.loss import MatchingLoss, Problem, as_one_batch
from infer.methods.optimisation_settings import OptimisationSettings
from infer.ranges import consecutive
from infer.ranks import ranks
from infer.training.batch_statistics import Statistics, pooled


class ChunkedMatchingLoss(MatchingLoss):
    """``MatchingLoss`` of images ``base`` + x, with at most ``class_chunk`` of a group in the teacher at a time."""

    _base: Tensor

    def __init__(self, teacher: nn.Module, problem: Problem, settings: OptimisationSettings, name: str = "") -> None:
        super().__init__(teacher, problem, settings, name)
        assert problem.base is not None, "chunks are parts of a base"
        self._over_all = problem.class_chunk is None or problem.chunk_statistics is ChunkStatistics.all
        total = len(problem.classes)
        chunks = _chunks_of_rank(total, problem.class_chunk or total, self._over_all)
        self._chunks = [slice(part.start, part.stop) for part in chunks or [range(1)]]
        self._shares = self._start.new_tensor([len(part) for part in chunks or [range(0)]]) / total

    def _prepare(self, compiler: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        super()._prepare(compiler)
        self._statistics = compiler(_statistics)

    def _gradient_at(self, transformed: Tensor, transform: Transform) -> tuple[Tensor, Tensor, Tensor]:
        whole = self._statistics_over_all(transformed, transform) if self._over_all else None
        slope = torch.zeros_like(transformed)
        cross_entropy, penalty = self._start.new_zeros(2, len(transformed))
        for chunk, share in zip(self._chunks, self._shares, strict=True):
            base, classes = transform(self._base[:, chunk]), self._classes[chunk]
            added = _of_chunk(transformed, chunk)
            total, *values = self._loss(self.teacher, base, added, classes, self._bn_weight, whole)
            (gradient,) = torch.autograd.grad(total, transformed)
            for mean, value in zip((slope, cross_entropy, penalty), (gradient, *values), strict=True):
                mean += share * value
        ranks.add_up(slope, cross_entropy, penalty)
        return slope, cross_entropy, penalty

    @torch.no_grad()
    def _statistics_over_all(self, transformed: Tensor, transform: Transform) -> list[Statistics]:
        """Statistics of every layer's input over all classes, in the order in which the layers fire."""
        chunks = [
            self._statistics(self.teacher, transform(self._base[:, chunk]), _of_chunk(transformed, chunk))
            for chunk in self._chunks
        ]
        if ranks.count == 1:
            return [pooled(layer, self._shares) for layer in zip(*chunks, strict=True)]
        share = self._shares.sum()
        within = self._shares / share if share else self._shares + 1
        return _pooled_over_ranks([pooled(layer, within) for layer in zip(*chunks, strict=True)], share)


def _chunks_of_rank(total: int, size: int, over_all: bool) -> list[range]:
    """Classes of the chunks of this rank, of ``total`` classes in chunks of at most ``size``; may be none.

    With statistics over all classes they are divided evenly; else the chunks are those of one process.
    """
    if not over_all:
        return consecutive(total, size)[ranks.rows(math.ceil(total / size))]
    own = range(total)[ranks.rows(total)]
    return [own[part.start : part.stop] for part in consecutive(len(own), size)]


def _of_chunk(x: Tensor, chunk: slice) -> Tensor:
    """Tensor that is added to the images of ``chunk``: ``x`` [G, 1, ...] itself, or a part of ``x`` [G, C, ...]."""
    return x if x.shape[1] == 1 else x[:, chunk]


def _pooled_over_ranks(layers: Sequence[Statistics], share: Tensor) -> list[Statistics]:
    """Statistics of every layer over all ranks, of which this one has a ``share`` [] of the images."""
    own = torch.cat([values.flatten() for layer in layers for values in layer] + [share.view(1)])
    *values, shares = ranks.stacked(own).split([each.numel() for layer in layers for each in layer] + [1], dim=1)
    means, variances = (
        [part.unflatten(1, layer.mean.shape) for part, layer in zip(values[first::2], layers, strict=True)]
        for first in (0, 1)
    )
    return [
        pooled(list(map(Statistics, mean, var)), shares.flatten()) for mean, var in zip(means, variances, strict=True)
    ]


def _statistics(teacher: MatchedTeacher, base: Tensor, x: Tensor) -> list[Statistics]:
    """Statistics of every layer's input for the images ``base`` + ``x``."""
    images = base + x
    return teacher.statistics(as_one_batch(images), len(images))
