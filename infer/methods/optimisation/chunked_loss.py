"""Loss of more classes than can pass the teacher at once, computed in chunks of classes.

The loss of a group, and its gradient, are the mean over the chunks, weighted by their number of classes. Where each
chunk is matched by its own statistics, nothing else is needed. Where the statistics are those over all classes, there
are two passes: the first collects the statistics, without a graph; the second computes the penalty from them, and for
each chunk that chunk's part of the gradient. This is exact: a teacher in evaluation mode treats every image
independently, so both passes compute the same activations, and images of a group interact only through the statistics,
which are fixed in the second pass.

With several ranks, each has its own chunks, and ranks exchange statistics and gradients.
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
    """``MatchingLoss`` of images ``base`` + x, with at most ``class_chunk`` images per group passing at a time."""

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
        """Statistics of every layer's input over all classes, in the order in which the layers are called."""
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
    """Ranges of classes that are the chunks of this rank; may be empty.

    ``total`` classes are divided into chunks of at most ``size``. With statistics over all classes, each rank gets the
    same number of classes; otherwise ranks share the chunks that a single process would have.
    """
    if not over_all:
        return consecutive(total, size)[ranks.rows(math.ceil(total / size))]
    own = range(total)[ranks.rows(total)]
    return [own[part.start : part.stop] for part in consecutive(len(own), size)]


def _of_chunk(x: Tensor, chunk: slice) -> Tensor:
    """Part of ``x`` that is added to the images of ``chunk``: all of ``x`` [G, 1, ...], or a part of [G, C, ...]."""
    return x if x.shape[1] == 1 else x[:, chunk]


def _pooled_over_ranks(layers: Sequence[Statistics], share: Tensor) -> list[Statistics]:
    """Statistics of every layer over all ranks; this rank's ``layers`` are of a fraction ``share`` [] of the images."""
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
