"""Images optimised through a frozen teacher: the one loop of every method that does so.

A tensor x of G groups is fitted by Adam so that the teacher recognises images and finds in them the statistics of its
training data (``objective``), with a new random transform in every iteration. The images are x itself (SRe2L, DWA), or
x is added to given ones (INFER, one x for all images of a group).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from infer.config.method import GenerationPrecision, OptimisingMethod
from infer.methods.chunked_objective import ChunkedObjective
from infer.methods.curves import Curves
from infer.methods.objective import Objective, OptimisationSettings, Problem

_DTYPES = {GenerationPrecision.fp32: torch.float32, GenerationPrecision.fp64: torch.float64}


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


def settings_of(method: OptimisingMethod, images: int, image_size: int, **others: Any) -> OptimisationSettings:
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
    kind = Objective if settings.class_chunk is None else ChunkedObjective
    objective = kind(teacher, problem, settings, name)
    compiled = settings.compile and objective.compile()
    remedy = f"try a smaller method.lr (now {settings.lr:g}) or method.bn_weight (now {settings.bn_weight:g})"
    curves = Curves(settings.iterations, remedy, objective.teacher.name, problem.measure)
    free = descend(objective, problem, settings, curves.note, on_progress)
    curves.require_finite("result", free, "the end")
    return Optimum(free.float().cpu(), curves.collected(), compiled)


def descend(
    objective: Objective,
    problem: Problem,
    settings: OptimisationSettings,
    observe: Callable[[int, Tensor, Tensor, Tensor], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Tensor:
    """x after Adam's last step, in the precision of ``settings``, on its device.

    ``observe`` is given every iteration, its x before the step, its cross-entropy and its matching penalty.
    """
    transforms = problem.transforms.to(problem.start.device)
    free = problem.start.to(settings.dtype, copy=True).requires_grad_()
    adam = torch.optim.Adam([free], lr=settings.lr, betas=(0.5, 0.9), eps=1e-8)
    cosine = torch.optim.lr_scheduler.LambdaLR(adam, lambda t: 0.5 * (1 + math.cos(math.pi * t / settings.iterations)))
    for iteration in range(settings.iterations):
        free.grad, cross_entropy, penalty = objective.gradient(free, transforms[iteration])
        if observe:
            observe(iteration, free.detach(), cross_entropy, penalty)
        adam.step()
        cosine.step()
        if problem.project:
            problem.project(free.detach())
        if on_progress:
            on_progress(iteration + 1)
    return free.detach()


def compile_pays(iterations: int, images_per_iteration: int, image_size: int) -> bool:
    """Whether compiling costs less time than it saves in one batch.

    On two shared CPU cores, 10 classes at 32x32 in groups of 3: compiling took 67 to 92 s for three of the four CIFAR
    teachers (the second run on a machine reads torch's cache: 3 to 6 s) and saved about 1 microsecond per image, pixel
    and iteration on average over the four. That is repaid after some 10^8 of them.
    """
    return iterations * images_per_iteration * image_size**2 >= 10**8
