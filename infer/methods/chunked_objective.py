"""The objective of more classes than can pass the teacher at once: those of a chunk at a time.

The loss of a group is the mean over its chunks, weighted by their number of classes, and so is its gradient. With
statistics of each chunk's own that is all. With those over all classes there are two passes: the first collects them,
without a graph; in the second the penalty of a chunk is the one that they give, with the chunk's part of its gradient.
This is exact, because a teacher in evaluation mode sees every image as if it were alone: the first pass sees what the
second does, and only the statistics, which are fixed in between, join the images of a group.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from infer.config.method import ChunkStatistics
from infer.methods.augmentation import Transform
from infer.methods.batch_statistics import Statistics, pooled
from infer.methods.bn_matching import MatchedTeacher
from infer.methods.objective import Objective, OptimisationSettings, Problem, as_one_batch
from infer.ranges import consecutive


class ChunkedObjective(Objective):
    """``Objective`` of images ``Problem.base`` + x, at most ``class_chunk`` of a group in the teacher at a time."""

    def __init__(self, teacher: nn.Module, problem: Problem, settings: OptimisationSettings, name: str = "") -> None:
        super().__init__(teacher, problem, settings, name)
        self._over_all = settings.chunk_statistics is ChunkStatistics.all
        self._chunks = [
            slice(part.start, part.stop) for part in consecutive(len(problem.classes), settings.class_chunk)
        ]
        sizes = [chunk.stop - chunk.start for chunk in self._chunks]
        self._shares = self._start.new_tensor(sizes) / len(problem.classes)

    def _run_by(self, form: Callable[[Callable], Callable]) -> None:
        super()._run_by(form)
        self._statistics = form(_statistics)

    def _gradient_at(self, seen: Tensor, transform: Transform) -> tuple[Tensor, Tensor, Tensor]:
        of_whole = self._statistics_over_all(seen, transform) if self._over_all else None
        slope = torch.zeros_like(seen)
        cross_entropy, penalty = self._start.new_zeros(2, len(seen))
        for chunk, share in zip(self._chunks, self._shares, strict=True):
            base, classes = transform(self._base[:, chunk]), self._classes[chunk]
            total, *values = self._loss(self.teacher, base, seen, classes, self._bn_weight, of_whole)
            (gradient,) = torch.autograd.grad(total, seen)
            for mean, value in zip((slope, cross_entropy, penalty), (gradient, *values), strict=True):
                mean += share * value
        return slope, cross_entropy, penalty

    @torch.no_grad()
    def _statistics_over_all(self, seen: Tensor, transform: Transform) -> list[Statistics]:
        """Of every layer, in the order in which they fire."""
        chunks = [self._statistics(self.teacher, transform(self._base[:, chunk]), seen) for chunk in self._chunks]
        return [pooled(layer, self._shares) for layer in zip(*chunks, strict=True)]


def _statistics(teacher: MatchedTeacher, base: Tensor, free: Tensor) -> list[Statistics]:
    """What every layer sees of the images ``base`` + ``free``."""
    images = base + free
    return teacher.statistics(as_one_batch(images), len(images))
