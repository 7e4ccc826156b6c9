"""Optimisation loop of every method that optimises images through a frozen teacher.

A tensor x of G groups is fitted by Adam to the loss in ``loss``, with a new random transform in every iteration.
The images are x itself (SRe2L, DWA), or x is added to given ones (INFER, one x for all images of a group).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from infer.methods.optimisation.chunked_loss import ChunkedMatchingLoss
from infer.methods.optimisation.curves import Curves
from infer.methods.optimisation.loss import MatchingLoss, Problem, torch_dtype
from infer.methods.optimisation_settings import OptimisationSettings


@dataclass(frozen=True)
class OptimisationResult:
    """Result of ``optimise``, on the CPU."""

    variable: Tensor
    """x after the last step: float32, in the shape of ``Problem.start``."""
    curves: dict[str, Tensor]
    """About 100 points: ``iteration`` int64 [points], and float32 [points, G] of x before that iteration's step:
    ``cross_entropy``, ``bn_penalty`` (without bn_weight) and the values of ``Problem.measure``."""
    compiled: bool
    """False also where compilation was asked for and failed."""

    @property
    def last_values(self) -> dict[str, list[float]]:
        """Last point of every curve, by name, for records."""
        return {key: values[-1].tolist() for key, values in self.curves.items()}


def optimise(
    teacher: nn.Module,
    problem: Problem,
    settings: OptimisationSettings,
    on_progress: Callable[[int], None] | None = None,
    name: str = "",
) -> OptimisationResult:
    """Solve ``problem``, all groups in one batch, on the device of its ``start``.

    ``on_progress`` is called with the number of finished iterations; ``name`` names the teacher in messages. Raises
    UsageError for a teacher without BatchNorm layers and RunError for a loss that is not finite.
    """
    kind = MatchingLoss if problem.class_chunk is None else ChunkedMatchingLoss
    loss = kind(teacher, problem, settings, name)
    compiled = _is_to_be_compiled(problem, settings) and loss.compile()
    remedy = f"try a smaller method.lr (now {settings.lr:g}) or method.bn_weight (now {settings.bn_weight:g})"
    curves = Curves(settings.iterations, remedy, loss.teacher.name, problem.measure)
    x = descend(loss, problem, settings, curves.record, on_progress)
    curves.require_finite("result", x, "the end")
    return OptimisationResult(x.float().cpu(), curves.collected(), compiled)


def descend(
    loss: MatchingLoss,
    problem: Problem,
    settings: OptimisationSettings,
    observe: Callable[[int, Tensor, Tensor, Tensor], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Tensor:
    """x after Adam's last step, in the precision of ``settings``, on the device of ``problem.start``.

    ``observe`` is called in every iteration with its number, x before the step, the cross-entropy and the penalty.
    """
    transforms = problem.transforms.to(problem.start.device)
    x = problem.start.to(torch_dtype(settings.precision), copy=True).requires_grad_()
    adam = torch.optim.Adam([x], lr=settings.lr, betas=(0.5, 0.9), eps=1e-8)
    cosine = torch.optim.lr_scheduler.LambdaLR(adam, lambda t: 0.5 * (1 + math.cos(math.pi * t / settings.iterations)))
    for iteration in range(settings.iterations):
        x.grad, cross_entropy, penalty = loss.gradient(x, transforms[iteration])
        if iteration == 0 and problem.gradient_before is not None:
            x.grad += problem.gradient_before
        if observe:
            observe(iteration, x.detach(), cross_entropy, penalty)
        adam.step()
        cosine.step()
        if problem.project:
            problem.project(x.detach())
        if on_progress:
            on_progress(iteration + 1)
    return x.detach()


def _is_to_be_compiled(problem: Problem, settings: OptimisationSettings) -> bool:
    """``settings.compile`` or, where it is null, whether compiling pays.

    That is decided by values in the signature of the artefact alone, so that its numbers do not depend on the run that
    makes it.
    """
    if settings.compile is not None:
        return settings.compile
    images = problem.start if problem.base is None else problem.base  # x may be smaller than what it is added to
    return compile_pays(settings.iterations, len(problem.start) * len(problem.classes), images.shape[-1])


def compile_pays(iterations: int, images_per_iteration: int, image_size: int) -> bool:
    """True if compiling costs less time than it saves in one batch.

    On two shared CPU cores, 10 classes at 32x32 in groups of 3: compiling took 67 to 92 s for three of the four CIFAR
    teachers (the second run on a machine reads torch's cache: 3 to 6 s) and saved about 1 microsecond per image, pixel
    and iteration on average over the four. That is repaid after some 10^8 of them.
    """
    return iterations * images_per_iteration * image_size**2 >= 10**8
