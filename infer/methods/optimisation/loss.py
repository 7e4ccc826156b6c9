"""Loss of the images under optimisation: a teacher's cross-entropy plus its batch-norm penalty.

CE(teacher(augment(images)), class) + bn_weight * penalty (``bn_penalty``) over the images of a group.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infer.methods.infer import ChunkStatistics
from infer.methods.optimisation.augmentation import Transform, Transforms
from infer.methods.optimisation.bn_matching import MatchedTeacher
from infer.methods.optimisation_settings import GenerationPrecision, OptimisationSettings
from infer.training.batch_statistics import Statistics

log = logging.getLogger(__name__)


def torch_dtype(precision: GenerationPrecision) -> torch.dtype:
    """The dtype of the images, statistics and losses of an optimisation in ``precision``."""
    return torch.float64 if precision is GenerationPrecision.fp64 else torch.float32


@dataclass(frozen=True)
class Problem:
    """Optimisation problem of a tensor x: its start, its constraints, and the images that it makes."""

    start: Tensor
    """x before the first step, normalised units: [G, C, 3, H, W], or [G, 1, 3, H, W] for all images of a group; smaller
    where ``as_images`` enlarges it."""
    classes: Tensor
    """int64 [C]: classes of the images of every group."""
    transforms: Transforms
    base: Tensor | None = None
    """[G, C, 3, H, W]: images that x is added to; None: x is the images."""
    as_images: Callable[[Tensor], Tensor] = lambda x: x
    """Linear map from x to what is added to ``base``, [G, C or 1, 3, H, W]."""
    variance_weight: float = 1.0
    """Weight of the variances in the batch-norm penalty; the means weigh 1."""
    class_chunk: int | None = None
    """Images of a group that pass the teacher together, where there is a ``base``; None: all."""
    chunk_statistics: ChunkStatistics = ChunkStatistics.all
    """Statistics that are matched where the images of a group pass in chunks."""
    gradient_before: Tensor | None = None
    """Gradient in the shape of x and the precision of the optimisation, added to that of the first iteration."""
    project: Callable[[Tensor], object] | None = None
    """In-place projection of x onto its valid values, called after every step."""
    measure: Callable[[Tensor], dict[str, Tensor]] = lambda x: {}
    """Function that returns values [G] of x, by name, that are recorded beside the losses."""


class MatchingLoss:
    """Sum of the losses of the groups of a batch, so that the gradients of the groups are independent."""

    def __init__(self, teacher: nn.Module, problem: Problem, settings: OptimisationSettings, name: str = "") -> None:
        dtype = torch_dtype(settings.precision)
        self._start = problem.start.to(dtype)
        self._base = None if problem.base is None else problem.base.to(dtype)
        self._as_images = problem.as_images
        self._classes = problem.classes.to(self._start.device)
        matched = MatchedTeacher(
            teacher,
            settings.first_bn_multiplier,
            dtype,
            name,
            variance_weight=problem.variance_weight,
            in_bf16=settings.precision is GenerationPrecision.bf16,
        )
        self.teacher = matched.to(self._start.device)
        # A tensor, because a number would be compiled in: every new bn_weight of a sweep would compile again.
        self._bn_weight = self._start.new_tensor(settings.bn_weight)
        self._prepare(_unchanged)

    def gradient(self, x: Tensor, transform: Transform) -> tuple[Tensor, Tensor, Tensor]:
        """Gradient at ``x``, in its shape, cross-entropy [G] and batch-norm penalty [G] under ``transform``.

        A transform is linear: the transformed base + x is the sum of the transformed base and the transformed x.
        """
        x = x.detach().requires_grad_()
        transformed = transform(self._as_images(x))
        leaf = transformed.detach().requires_grad_()  # a compiled function takes no tensor in the middle of a graph
        slope, cross_entropy, penalty = self._gradient_at(leaf, transform)
        (gradient,) = torch.autograd.grad(transformed, x, slope)
        return gradient, cross_entropy, penalty

    def compile(self) -> bool:
        """Compile the loss; where that is impossible (no C++ compiler), log a warning and go on without."""
        import torch._dynamo  # takes a second, and only here

        self._prepare(partial(torch.compile, fullgraph=True, dynamic=False))
        try:
            # Each teacher and shape is compiled once per process: eight, the default limit, is two per teacher.
            with torch._dynamo.config.patch(recompile_limit=256):
                self.gradient(self._start, Transform(self._classes.new_zeros(len(self._start), 2)))
        except torch._dynamo.exc.TorchDynamoException as error:
            log.warning("Teacher %r is not compiled: %s", self.teacher.name, f"{error}".strip().partition("\n")[0])
            self._prepare(_unchanged)
            return False
        return True

    def _prepare(self, compiler: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Pass the functions that do the work through ``compiler``."""
        self._loss = compiler(loss)

    def _gradient_at(self, transformed: Tensor, transform: Transform) -> tuple[Tensor, Tensor, Tensor]:
        """Values of ``gradient``, the gradient being that at the ``transformed`` x."""
        base = None if self._base is None else transform(self._base)
        total, cross_entropy, penalty = self._loss(self.teacher, base, transformed, self._classes, self._bn_weight)
        (slope,) = torch.autograd.grad(total, transformed)
        return slope, cross_entropy, penalty


def loss(
    teacher: MatchedTeacher,
    base: Tensor | None,
    x: Tensor,
    classes: Tensor,
    bn_weight: Tensor,
    whole: Sequence[Statistics] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-entropy plus batch-norm penalty of the images ``base`` + ``x``, or ``x``.

    Returns the total [], the cross-entropy [G] and the penalty [G]; ``whole`` as for ``MatchedTeacher.forward``.
    """
    images = x if base is None else base + x
    groups, count = images.shape[:2]
    logits, penalty = teacher(as_one_batch(images), groups, whole)
    targets = classes.repeat(groups)
    cross_entropy = F.cross_entropy(logits, targets, reduction="none").view(groups, count).mean(1)
    total = (cross_entropy + bn_weight * penalty).sum()
    return total, cross_entropy.detach(), penalty.detach()


def as_one_batch(images: Tensor) -> Tensor:
    """Groups [G, C, 3, H, W] in the shape and memory format of a ``MatchedTeacher``'s input."""
    return images.flatten(0, 1).contiguous(memory_format=torch.channels_last)


def _unchanged(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``: the compiler where nothing is compiled."""
    return function
