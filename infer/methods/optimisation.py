"""Images optimised through a frozen teacher: the one loop of every method that does so.

A tensor x of G groups is fitted by Adam so that the teacher recognises images and finds in them the statistics of its
training data: CE(teacher(view(images)), class) + bn_weight * matching penalty (``bn_matching``) over the images of a
group, with a new random view in every iteration (``views``). The images are x itself (SRe2L, DWA), or x is added to
given ones (INFER, one x for all images of a group).
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infer.config.method import GenerationPrecision, OptimisingMethod
from infer.methods.bn_matching import MatchedTeacher
from infer.methods.curves import Curves
from infer.methods.views import View, Views

_DTYPES = {GenerationPrecision.fp32: torch.float32, GenerationPrecision.fp64: torch.float64}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OptimisationSettings:
    """What ``optimise`` does with the images and views that it is given."""

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


@dataclass(frozen=True)
class Problem:
    """What is optimised, and where it begins."""

    start: Tensor
    """x before the first step, normalised units: [G, C, 3, H, W], or [G, 1, 3, H, W] for all images of a group."""
    classes: Tensor
    """int64 [C]: of the images of every group."""
    views: Views
    base: Tensor | None = None
    """[G, C, 3, H, W]: what x is added to; None: x is the images."""
    project: Callable[[Tensor], object] | None = None
    """Moves x, in place, to where it may be; called after every step."""
    measure: Callable[[Tensor], dict[str, Tensor]] = lambda free: {}
    """Values [G] at x that are kept beside the losses, by name."""


@dataclass(frozen=True)
class Optimum:
    """What ``optimise`` returns, on the CPU."""

    free: Tensor
    """x after the last step: float32, in the shape of ``Problem.start``."""
    curves: dict[str, Tensor]
    """About 100 points: ``iteration`` int64 [points], and float32 [points, G] of its x, before its step:
    ``cross_entropy``, ``bn_penalty`` (without bn_weight) and what ``Problem.measure`` gives."""
    compiled: bool
    """False also where compilation was asked for and failed."""

    @property
    def last_values(self) -> dict[str, list[float]]:
        """The last point of every curve, by name, for records."""
        return {key: values[-1].tolist() for key, values in self.curves.items()}


def settings_of(method: OptimisingMethod, images: int, image_size: int, **others: float) -> OptimisationSettings:
    """The settings of a batch of ``images``.

    Whether it is compiled is decided by what is in the signature of its artefact, so that its numbers do not depend on
    the run that makes it.
    """
    pays = compile_pays(method.iterations, images, image_size)
    return OptimisationSettings(
        iterations=method.iterations,
        lr=method.lr,
        bn_weight=method.bn_weight,
        first_bn_multiplier=method.first_bn_multiplier,
        compile=pays if method.compile is None else method.compile,
        dtype=_DTYPES[method.precision],
        **others,
    )


def optimise(
    teacher: nn.Module,
    problem: Problem,
    settings: OptimisationSettings,
    on_progress: Callable[[int], None] | None = None,
    name: str = "",
) -> Optimum:
    """Solve ``problem``, all groups in one batch, where its ``start`` is.

    ``on_progress`` hears the number of finished iterations; ``name`` is what messages call the teacher. Raises
    UsageError for a teacher without BatchNorm layers and RunError for a loss that is not finite.
    """
    objective = Objective(teacher, problem, settings, name)
    compiled = settings.compile and objective.compile()
    remedy = f"try a smaller method.lr (now {settings.lr:g}) or method.bn_weight (now {settings.bn_weight:g})"
    curves = Curves(settings.iterations, remedy, objective.teacher.name, problem.measure)
    free = descend(objective, problem, settings, curves.note, on_progress)
    curves.require_finite("result", free, "the end")
    return Optimum(free.float().cpu(), curves.collected(), compiled)


def descend(
    objective: "Objective",
    problem: Problem,
    settings: OptimisationSettings,
    observe: Callable[[int, Tensor, Tensor, Tensor], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Tensor:
    """x after Adam's last step, in the precision of ``settings``, on its device.

    ``observe`` is given every iteration, its x before the step, its cross-entropy and its matching penalty.
    """
    views = problem.views.to(problem.start.device)
    free = problem.start.to(settings.dtype, copy=True).requires_grad_()
    adam = torch.optim.Adam([free], lr=settings.lr, betas=(0.5, 0.9), eps=1e-8)
    cosine = torch.optim.lr_scheduler.LambdaLR(adam, lambda t: 0.5 * (1 + math.cos(math.pi * t / settings.iterations)))
    for iteration in range(settings.iterations):
        free.grad, cross_entropy, penalty = objective.gradient(free, views[iteration])
        if observe:
            observe(iteration, free.detach(), cross_entropy, penalty)
        adam.step()
        cosine.step()
        if problem.project:
            problem.project(free.detach())
        if on_progress:
            on_progress(iteration + 1)
    return free.detach()


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
        self._loss: Callable[..., tuple[Tensor, Tensor, Tensor]] = _loss

    def gradient(self, free: Tensor, view: View) -> tuple[Tensor, Tensor, Tensor]:
        """Gradient at x = ``free``, in its shape, cross-entropy [G] and matching penalty [G] under ``view``.

        A view is linear: what is seen of base + x is the sum of what is seen of each.
        """
        free = free.detach().requires_grad_()
        seen = view(free)
        leaf = seen.detach().requires_grad_()  # what is compiled takes no tensor in the middle of a graph
        base = None if self._base is None else view(self._base)
        total, cross_entropy, penalty = self._loss(self.teacher, base, leaf, self._classes, self._bn_weight)
        (gradient,) = torch.autograd.grad(seen, free, torch.autograd.grad(total, leaf))
        return gradient, cross_entropy, penalty

    def compile(self) -> bool:
        """Compile the loss; where that is impossible (no C++ compiler), log a warning and go on without."""
        import torch._dynamo  # takes a second, and only here

        self._loss = torch.compile(_loss, fullgraph=True, dynamic=False)
        try:
            # Each teacher and shape is compiled once per process: eight, the default limit, is two per teacher.
            with torch._dynamo.config.patch(recompile_limit=256):
                self.gradient(self._start, View(self._classes.new_zeros(len(self._start), 2)))
        except torch._dynamo.exc.TorchDynamoException as error:
            log.warning("Teacher %r is not compiled: %s", self.teacher.name, f"{error}".strip().partition("\n")[0])
            self._loss = _loss
        return self._loss is not _loss


def _loss(
    teacher: MatchedTeacher, base: Tensor | None, free: Tensor, classes: Tensor, bn_weight: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Total loss [], cross-entropy [G] and matching penalty [G] of the images ``base`` + ``free``, or ``free``."""
    images = free if base is None else base + free
    groups, count = images.shape[:2]
    logits, penalty = teacher(images.flatten(0, 1).contiguous(memory_format=torch.channels_last), groups)
    targets = classes.repeat(groups)
    cross_entropy = F.cross_entropy(logits, targets, reduction="none").view(groups, count).mean(1)
    total = (cross_entropy + bn_weight * penalty).sum()
    return total, cross_entropy.detach(), penalty.detach()


def compile_pays(iterations: int, images_per_iteration: int, image_size: int) -> bool:
    """Whether compiling costs less time than it saves in one batch.

    On two shared CPU cores, 10 classes at 32x32 in groups of 3: compiling took 67 to 92 s for three of the four CIFAR
    teachers (the second run on a machine reads torch's cache: 3 to 6 s) and saved about 1 microsecond per image, pixel
    and iteration on average over the four. That is repaid after some 10^8 of them.
    """
    return iterations * images_per_iteration * image_size**2 >= 10**8
