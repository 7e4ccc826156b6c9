"""What an optimisation through a frozen teacher minimises: that it knows the images and finds its data in them.

CE(teacher(view(images)), class) + bn_weight * matching penalty (``bn_matching``) over the images of a group.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infer.config.method import ChunkStatistics
from infer.methods.augmentation import Transform, Transforms
from infer.methods.batch_statistics import Statistics
from infer.methods.bn_matching import MatchedTeacher

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OptimisationSettings:
    """What ``optimise`` does with the images and transforms that it is given."""

    iterations: int
    lr: float
    """Adam's, following a cosine from here to zero."""
    bn_weight: float
    first_bn_multiplier: float
    """Weight of the first BatchNorm layer in the matching penalty; the others weigh 1."""
    variance_weight: float = 1.0
    """Weight of the variances in the matching penalty; the means weigh 1."""
    compile: bool = False
    dtype: torch.dtype = torch.float32
    class_chunk: int | None = None
    """Images of a group that pass the teacher together, where x is added to given ones; None: all."""
    chunk_statistics: ChunkStatistics = ChunkStatistics.all
    """Whose statistics are matched, where the images of a group pass in chunks."""


@dataclass(frozen=True)
class Problem:
    """What is optimised, and where it begins."""

    start: Tensor
    """x before the first step, normalised units: [G, C, 3, H, W], or [G, 1, 3, H, W] for all images of a group."""
    classes: Tensor
    """int64 [C]: of the images of every group."""
    transforms: Transforms
    base: Tensor | None = None
    """[G, C, 3, H, W]: what x is added to; None: x is the images."""
    project: Callable[[Tensor], object] | None = None
    """Moves x, in place, to where it may be; called after every step."""
    measure: Callable[[Tensor], dict[str, Tensor]] = lambda free: {}
    """Values [G] at x that are kept beside the losses, by name."""


class Objective:
    """The loss of the groups of a batch: the sum of their losses, so that their gradients are independent."""

    def __init__(self, teacher: nn.Module, problem: Problem, settings: OptimisationSettings, name: str = "") -> None:
        self._start = problem.start.to(settings.dtype)
        self._base = None if problem.base is None else problem.base.to(settings.dtype)
        self._classes = problem.classes.to(self._start.device)
        matched = MatchedTeacher(
            teacher, settings.first_bn_multiplier, settings.dtype, name, variance_weight=settings.variance_weight
        )
        self.teacher = matched.to(self._start.device)
        # A tensor, because a number would be compiled in: every new bn_weight of a sweep would compile again.
        self._bn_weight = self._start.new_tensor(settings.bn_weight)
        self._run_by(as_it_is)

    def gradient(self, free: Tensor, transform: Transform) -> tuple[Tensor, Tensor, Tensor]:
        """Gradient at x = ``free``, in its shape, cross-entropy [G] and matching penalty [G] under ``transform``.

        A transform is linear: what is seen of base + x is the sum of what is seen of each.
        """
        free = free.detach().requires_grad_()
        seen = transform(free)
        leaf = seen.detach().requires_grad_()  # what is compiled takes no tensor in the middle of a graph
        slope, cross_entropy, penalty = self._gradient_at(leaf, transform)
        (gradient,) = torch.autograd.grad(seen, free, slope)
        return gradient, cross_entropy, penalty

    def compile(self) -> bool:
        """Compile what is run; where that is impossible (no C++ compiler), log a warning and go on without."""
        import torch._dynamo  # takes a second, and only here

        self._run_by(partial(torch.compile, fullgraph=True, dynamic=False))
        try:
            # Each teacher and shape is compiled once per process: eight, the default limit, is two per teacher.
            with torch._dynamo.config.patch(recompile_limit=256):
                self.gradient(self._start, Transform(self._classes.new_zeros(len(self._start), 2)))
        except torch._dynamo.exc.TorchDynamoException as error:
            log.warning("Teacher %r is not compiled: %s", self.teacher.name, f"{error}".strip().partition("\n")[0])
            self._run_by(as_it_is)
            return False
        return True

    def _run_by(self, form: Callable[[Callable], Callable]) -> None:
        self._loss = form(loss)

    def _gradient_at(self, seen: Tensor, transform: Transform) -> tuple[Tensor, Tensor, Tensor]:
        """What ``gradient`` gives, with the gradient at what is ``seen`` of x."""
        base = None if self._base is None else transform(self._base)
        total, cross_entropy, penalty = self._loss(self.teacher, base, seen, self._classes, self._bn_weight)
        (slope,) = torch.autograd.grad(total, seen)
        return slope, cross_entropy, penalty


def loss(
    teacher: MatchedTeacher,
    base: Tensor | None,
    free: Tensor,
    classes: Tensor,
    bn_weight: Tensor,
    of_whole: Sequence[Statistics] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Total loss [], cross-entropy [G] and matching penalty [G] of the images ``base`` + ``free``, or ``free``.

    ``of_whole`` as for ``MatchedTeacher.forward``.
    """
    images = free if base is None else base + free
    groups, count = images.shape[:2]
    logits, penalty = teacher(as_one_batch(images), groups, of_whole)
    targets = classes.repeat(groups)
    cross_entropy = F.cross_entropy(logits, targets, reduction="none").view(groups, count).mean(1)
    total = (cross_entropy + bn_weight * penalty).sum()
    return total, cross_entropy.detach(), penalty.detach()


def as_one_batch(images: Tensor) -> Tensor:
    """Groups [G, C, 3, H, W] in the shape and memory format in which a ``MatchedTeacher`` takes them."""
    return images.flatten(0, 1).contiguous(memory_format=torch.channels_last)


def as_it_is(function: Callable) -> Callable:
    """``function``: the form of what is run where it is not compiled."""
    return function
