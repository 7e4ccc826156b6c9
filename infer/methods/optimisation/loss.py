"""Loss of the images under optimisation: a teacher's cross-entropy plus its batch-norm penalty.

For a group of images it is CE(teacher(augment(images)), class) + bn_weight * penalty, see ``bn_penalty``.
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
    """Optimisation problem of a tensor x: its start, its constraints, and the images that are made from it."""

    start: Tensor
    """x before the first step, in normalised units: [G, C, 3, H, W], or [G, 1, 3, H, W] where all images of a group
    share it; with smaller H and W where ``as_images`` enlarges it."""
    classes: Tensor
    """int64 [C]: classes of the images of every group."""
    transforms: Transforms
    base: Tensor | None = None
    """[G, C, 3, H, W]: images that x is added to; None: x itself holds the images."""
    as_images: Callable[[Tensor], Tensor] = lambda x: x
    """Linear map from x to the tensor [G, C or 1, 3, H, W] that is added to ``base``."""
    variance_weight: float = 1.0
    """Weight of the variances in the batch-norm penalty, where the means have weight 1."""
    class_chunk: int | None = None
    """Number of images per group that pass the teacher at a time, where there is a ``base``; None: all."""
    chunk_statistics: ChunkStatistics = ChunkStatistics.all
    """Images over which the matched statistics are computed where the images of a group pass in chunks."""
    gradient_before: Tensor | None = None
    """Gradient that is added to that of the first iteration, in the shape of x and the precision of the
    optimisation."""
    project: Callable[[Tensor], object] | None = None
    """In-place projection of x onto its valid values, called after every step."""
    measure: Callable[[Tensor], dict[str, Tensor]] = lambda x: {}
    """Function from x to further values [G] by name, which are recorded beside the losses."""


class MatchingLoss:
    """Sum of the losses of all groups in a batch; the gradients of the groups are independent of each other."""

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
        # A tensor, because torch.compile would treat a number as a constant and compile again for every bn_weight.
        self._bn_weight = self._start.new_tensor(settings.bn_weight)
        self._prepare(_unchanged)

    def gradient(self, x: Tensor, transform: Transform) -> tuple[Tensor, Tensor, Tensor]:
        """Gradient at ``x``, in the shape of x, cross-entropy [G] and batch-norm penalty [G] under ``transform``.

        A transform is linear, so base and x can be transformed separately and added afterwards.
        """
        x = x.detach().requires_grad_()
        transformed = transform(self._as_images(x))
        leaf = transformed.detach().requires_grad_()  # the input of a compiled function must be a leaf of the graph
        slope, cross_entropy, penalty = self._gradient_at(leaf, transform)
        (gradient,) = torch.autograd.grad(transformed, x, slope)
        return gradient, cross_entropy, penalty

    def compile(self) -> bool:
        """Compile the loss; where that fails (no C++ compiler), log a warning and keep the uncompiled one."""
        import torch._dynamo  # takes a second and is needed only here

        if not torch.cuda.is_available():  # with an nvcc on the PATH torch warns that the GPU is missing
            logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
        self._prepare(partial(torch.compile, fullgraph=True, dynamic=False))
        try:
            # Each teacher and shape is compiled once per process; the default limit of eight is two per teacher.
            with torch._dynamo.config.patch(recompile_limit=256):
                self.gradient(self._start, Transform(self._classes.new_zeros(len(self._start), 2)))
        except torch._dynamo.exc.TorchDynamoException as error:
            log.warning("Teacher %r is not compiled: %s", self.teacher.name, f"{error}".strip().partition("\n")[0])
            self._prepare(_unchanged)
            return False
        return True

    def _prepare(self, compiler: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Apply ``compiler`` to the functions that do the computation."""
        self._loss = compiler(loss)

    def _gradient_at(self, transformed: Tensor, transform: Transform) -> tuple[Tensor, Tensor, Tensor]:
        """Values of ``gradient``, except that the gradient is with respect to the ``transformed`` x."""
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
    """Cross-entropy plus batch-norm penalty of the images ``base`` + ``x`` or, without a base, ``x``.

    Returns the total [], the cross-entropy [G] and the penalty [G]. ``whole`` is passed to ``MatchedTeacher.forward``.
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
    """Compiler that returns ``function`` itself, where nothing is to be compiled."""
    return function
