"""Loss of more classes than can pass the teacher at once, computed in chunks of classes.

The loss of a group is the mean over its chunks, weighted by their number of classes, and so is its gradient. With
statistics of each chunk's own that is all. With those over all classes there are two passes: the first collects them,
without a graph; in the second the penalty of a chunk is computed from them, with the chunk's part of its gradient.
This is exact, because a teacher in evaluation mode treats every image independently: both passes compute the same
activations, and only the statistics, which are fixed in between, join the images of a group.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from infer.methods.infer import ChunkStatistics
from infer.methods.optimisation.augmentation import Transform
from infer.methods.optimisation.batch_statistics import Statistics, pooled
from infer.methods.optimisation.bn_matching import MatchedTeacher
from infer.methods.optimisation.loss import MatchingLoss, Problem, as_one_batch
from infer.methods.optimisation_settings import OptimisationSettings
from infer.ranges import consecutive


class ChunkedMatchingLoss(MatchingLoss):
    """``MatchingLoss`` of images ``base`` + x, with at most ``class_chunk`` of a group in the teacher at a time."""

    _base: Tensor

    def __init__(self, teacher: nn.Module, problem: Problem, settings: OptimisationSettings, name: str = "") -> None:
        super().__init__(teacher, problem, settings, name)
        assert problem.base is not None and problem.class_chunk is not None, "chunks are parts of a base"
        self._over_all = problem.chunk_statistics is ChunkStatistics.all
        self._chunks = [slice(part.start, part.stop) for part in consecutive(len(problem.classes), problem.class_chunk)]
        sizes = [chunk.stop - chunk.start for chunk in self._chunks]
        self._shares = self._start.new_tensor(sizes) / len(problem.classes)

    def _prepare(self, compiler: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        super()._prepare(compiler)
        self._statistics = compiler(_statistics)

    def _gradient_at(self, transformed: Tensor, transform: Transform) -> tuple[Tensor, Tensor, Tensor]:
        whole = self._statistics_over_all(transformed, transform) if self._over_all else None
        slope = torch.zeros_like(transformed)
        cross_entropy, penalty = self._start.new_zeros(2, len(transformed))
        for chunk, share in zip(self._chunks, self._shares, strict=True):
            base, classes = transform(self._base[:, chunk]), self._classes[chunk]
            total, *values = self._loss(self.teacher, base, transformed, classes, self._bn_weight, whole)
            (gradient,) = torch.autograd.grad(total, transformed)
            for mean, value in zip((slope, cross_entropy, penalty), (gradient, *values), strict=True):
                mean += share * value
        return slope, cross_entropy, penalty

    @torch.no_grad()
    def _statistics_over_all(self, transformed: Tensor, transform: Transform) -> list[Statistics]:
        """Statistics of every layer's input over all classes, in the order in which the layers fire."""
        chunks = [
            self._statistics(self.teacher, transform(self._base[:, chunk]), transformed) for chunk in self._chunks
        ]
        return [pooled(layer, self._shares) for layer in zip(*chunks, strict=True)]


def _statistics(teacher: MatchedTeacher, base: Tensor, x: Tensor) -> list[Statistics]:
    """Statistics of every layer's input for the images ``base`` + ``x``."""
    images = base + x
    return teacher.statistics(as_one_batch(images), len(images))
