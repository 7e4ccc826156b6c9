"""Optimisation loop of every method that optimises images through a frozen teacher.

Adam minimises the loss in ``loss`` over a tensor x of G groups, with a new random transform in every iteration. The
images are x itself (SRe2L, DWA), or x is added to given images (INFER, with one x for all images of a group).
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
from infer.ranks import ranks
from infer.training.checkpoint import Checkpoint, State, kept_on_signals, under
from infer.training.optimizers import set_lr


@dataclass(frozen=True)
class OptimisationResult:
    """Result of ``optimise``, on the CPU."""

    variable: Tensor
    """x after the last step: float32, in the shape of ``Problem.start``."""
    curves: dict[str, Tensor]
    """Values at up to 100 iterations: ``iteration``, int64 [points]; ``cross_entropy``, ``bn_penalty`` (not multiplied
    by bn_weight) and the values of ``Problem.measure``, float32 [points, G], all before the step of that iteration."""
    compiled: bool
    """True if the loss was compiled; false also where compilation failed."""

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
    checkpoint: Checkpoint | None = None,
) -> OptimisationResult:
    """Solve ``problem``, all groups in one batch, on the device of its ``start``.

    ``on_progress`` is called with the number of finished iterations; ``name`` names the teacher in messages. With
    ``checkpoint``, repeating an interrupted call continues from the last stored iteration. Raises UsageError for a
    teacher without BatchNorm layers and RunError for a loss that is not finite.
    """
    in_parts = problem.class_chunk is not None or (ranks.count > 1 and problem.base is not None)
    kind = ChunkedMatchingLoss if in_parts else MatchingLoss
    loss = kind(teacher, problem, settings, name)
    images = problem.start if problem.base is None else problem.base  # x may be smaller than the images
    to_compile = is_to_be_compiled(settings, len(problem.start) * len(problem.classes), images.shape[-1])
    compiled = to_compile and loss.compile()
    remedy = f"try a smaller method.lr (now {settings.lr:g}) or method.bn_weight (now {settings.bn_weight:g})"
    curves = Curves(settings.iterations, remedy, loss.teacher.name, problem.measure)
    with kept_on_signals(checkpoint):
        kept = _StoredState(checkpoint, curves) if checkpoint else None
        x = descend(loss, problem, settings, curves.record, on_progress, kept)
    curves.require_finite("result", x, "the end")
    return OptimisationResult(x.float().cpu(), curves.collected(), compiled)


def descend(
    loss: MatchingLoss,
    problem: Problem,
    settings: OptimisationSettings,
    observe: Callable[[int, Tensor, Tensor, Tensor], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
    kept: "_StoredState | None" = None,
) -> Tensor:
    """x after Adam's last step, in the precision of ``settings``, on the device of ``problem.start``.

    ``observe`` is called in every iteration, before the step, with the iteration's number, x, the cross-entropy and the
    penalty. ``kept`` writes checkpoints and restores the last one.
    """
    transforms = problem.transforms.to(problem.start.device)
    x = problem.start.to(torch_dtype(settings.precision), copy=True).requires_grad_()
    adam = torch.optim.Adam([x], lr=settings.lr, betas=(0.5, 0.9), eps=1e-8)
    done = kept.resume(adam, x) if kept else 0
    if done and on_progress:
        on_progress(done)
    for iteration in range(done, settings.iterations):
        set_lr(adam, settings.lr * (0.5 * (1 + math.cos(math.pi * iteration / settings.iterations))))
        x.grad, cross_entropy, penalty = loss.gradient(x, transforms[iteration])
        if iteration == 0 and problem.gradient_before is not None:
            x.grad += problem.gradient_before
        if observe:
            observe(iteration, x.detach(), cross_entropy, penalty)
        adam.step()
        if problem.project:
            problem.project(x.detach())
        if on_progress:
            on_progress(iteration + 1)
        if kept:
            kept.after(iteration + 1, adam, x)
    return x.detach()


@dataclass(frozen=True)
class _StoredState:
    """Checkpoints of an optimisation: x, the moments of Adam and the curves."""

    checkpoint: Checkpoint
    curves: Curves

    def after(self, iterations: int, adam: torch.optim.Adam, x: Tensor) -> None:
        """Write the state after ``iterations`` iterations if a checkpoint is due, and obey a pending signal."""

        def state() -> State:
            curves = {f"curve.{name}": values for name, values in self.curves.tensors().items()}
            moments = {f"adam.{name}": value for name, value in adam.state[x].items()}
            return {"x": x, **moments, **curves}, {"iterations": iterations}

        self.checkpoint.after_step(state)

    def resume(self, adam: torch.optim.Adam, x: Tensor) -> int:
        """Restore the last checkpoint and return its number of iterations; 0 where there is none."""
        stored = self.checkpoint.read()
        if stored is None:
            return 0
        tensors, progress = stored
        x.data.copy_(tensors["x"])
        for name, value in under("adam.", tensors).items():
            adam.state[x][name] = value if value.dim() == 0 else torch.empty_like(x, requires_grad=False).copy_(value)
        self.curves.load({name: value.to(x.device) for name, value in under("curve.", tensors).items()})
        iterations: int = progress["iterations"]
        return iterations


def is_to_be_compiled(settings: OptimisationSettings, images_per_iteration: int, image_size: int) -> bool:
    """``settings.compile`` or, where it is null, the result of ``compile_pays``.

    The decision depends only on values that are part of the artefact's signature, so that the artefact does not depend
    on the run that makes it.
    """
    if settings.compile is not None:
        return settings.compile
    return compile_pays(settings.iterations, images_per_iteration, image_size)


def compile_pays(iterations: int, images_per_iteration: int, image_size: int) -> bool:
    """True if compiling costs less time than it saves in two batches.

    Measured on two shared CPU cores with 10 classes at 32x32 in groups of 3: compiling took 67 to 92 s for three of the
    four CIFAR teachers and saved about 1 microsecond per image, pixel and iteration on average over the four, so the
    time is recovered after about 10^8 of them. A machine compiles only once: every later batch and process finds the
    compiled code in torch's cache on the disk (TORCHINDUCTOR_CACHE_DIR, by default in the temporary folder). With
    MobileNetV2, 5 compensators of 10 classes and one thread, the first process spent 113 s of processor time and the
    second 6 s, and every batch of 1,000 iterations saved 92 s (2026-11-27). Therefore half the size is enough.

    This is a fixed rule, since the result of a timing, and with it the bits of the artefact, would depend on the other
    load of the machine.
    """
    return iterations * images_per_iteration * image_size**2 >= 5 * 10**7
