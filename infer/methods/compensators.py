"""The optimisation of compensators: one image-sized tensor per natural subset that is added to all its images.

For every subset P_k a compensator u_k, zero at first, minimises by Adam
CE(teacher(roll(P_k + u_k)), class) + bn_weight * matching penalty (``bn_matching``) over the C images of the subset,
with a new random roll in every iteration (INFER, ICLR 2025, eq. 5; zhangxin-xd/UFC, ufc_generation/ufc_cifar.py).
"""

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infer import seeds
from infer.errors import RunError
from infer.methods.bn_matching import MatchedTeacher

CURVE_POINTS = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CompensatorSettings:
    """What ``optimise`` does with the images and rolls that it is given."""

    iterations: int
    lr: float
    """Adam's, following a cosine from here to zero."""
    bn_weight: float
    first_bn_multiplier: float
    """Weight of the first BatchNorm layer in the matching penalty; the others weigh 1."""
    compile: bool = False
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class Compensators:
    """What ``optimise`` returns, on the CPU."""

    u: Tensor
    """float32 [G, 3, H, W], in normalised units."""
    curves: dict[str, Tensor]
    """About 100 points: ``iteration`` int64 [points], and float32 [points, G] of its u, before its step:
    ``cross_entropy``, ``bn_penalty`` (without bn_weight), ``norm`` (||u||_2) and, given bounds, ``clipped_share``
    (of the values of P + u)."""
    compiled: bool
    """False also where compilation was asked for and failed."""


def draw_shifts(seed: int, teacher_name: str, ks: Iterable[int], iterations: int, jitter_px: int) -> Tensor:
    """Rolls (down, right) in pixels, 0 to ``jitter_px`` each, for the subsets ``ks``: int64 [iterations, G, 2].

    Every (teacher, k) has a generator of its own, so what is drawn does not depend on the grouping.
    """
    draws = [seeds.generator(seed, "jitter", teacher_name, k) for k in ks]
    rolls = [generator.integers(0, jitter_px + 1, size=(iterations, 2)) for generator in draws]
    return torch.stack([torch.from_numpy(roll) for roll in rolls], dim=1)


def optimise(
    teacher: nn.Module,
    natural: Tensor,
    shifts: Tensor,
    settings: CompensatorSettings,
    on_progress: Callable[[int], None] | None = None,
    *,
    bounds: tuple[Tensor, Tensor] | None = None,
    name: str = "",
) -> Compensators:
    """The compensators of ``teacher`` for the subsets ``natural`` [G, C, 3, H, W], normalised, all in one batch.

    Image c of a subset is of class c; ``shifts`` are those of ``draw_shifts``. The work is done where ``natural`` is.
    ``on_progress`` hears the number of finished iterations; ``bounds`` are the lowest and highest valid value per
    channel, [3] each; ``name`` is what messages call the teacher. Raises UsageError for a teacher without BatchNorm
    layers and RunError for a loss that is not finite.
    """
    natural = natural.to(settings.dtype)
    matched = MatchedTeacher(teacher, settings.first_bn_multiplier, settings.dtype, name).to(natural.device)
    objective = Objective(matched, natural, settings.bn_weight)
    compiled = settings.compile and objective.compile()
    curves = _Curves(matched.name, natural, settings, bounds)
    u = descend(objective, shifts, settings, curves.note, on_progress)
    return Compensators(curves.final(u), curves.collected(), compiled)


def descend(
    objective: "Objective",
    shifts: Tensor,
    settings: CompensatorSettings,
    observe: Callable[[int, Tensor, Tensor, Tensor], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Tensor:
    """Adam from zero: compensators [G, 3, H, W] in the objective's precision, on its device.

    ``observe`` is given every iteration, its u before the step, its cross-entropy and its matching penalty.
    """
    shifts = shifts.to(objective.natural.device)
    u = objective.zeros().requires_grad_()
    adam = torch.optim.Adam([u], lr=settings.lr, betas=(0.5, 0.9), eps=1e-8)
    cosine = torch.optim.lr_scheduler.LambdaLR(adam, lambda t: 0.5 * (1 + math.cos(math.pi * t / settings.iterations)))
    for iteration in range(settings.iterations):
        u.grad, cross_entropy, penalty = objective.gradient(u, shifts[iteration])
        if observe:
            observe(iteration, u.detach(), cross_entropy, penalty)
        adam.step()
        cosine.step()
        if on_progress:
            on_progress(iteration + 1)
    return u.detach()


class Objective:
    """The loss of G compensators in one batch: the sum of their losses, so that their gradients are independent."""

    def __init__(self, teacher: MatchedTeacher, natural: Tensor, bn_weight: float) -> None:
        self.natural = natural
        self._teacher = teacher
        # A tensor, because a number would be compiled in: every new bn_weight of a sweep would compile again.
        self._bn_weight = natural.new_tensor(bn_weight)
        self._loss: Callable[..., tuple[Tensor, Tensor, Tensor]] = _loss

    def zeros(self) -> Tensor:
        """Where compensators start: [G, 3, H, W]."""
        return self.natural.new_zeros(len(self.natural), *self.natural.shape[2:])

    def gradient(self, u: Tensor, shifts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradient [G, 3, H, W] at ``u``, cross-entropy [G] and matching penalty [G] under the rolls ``shifts`` [G, 2].

        roll(P + u) = roll(P) + roll(u), so the gradient is taken at roll(u) and rolled back.
        """
        rolled_u = rolled(u.detach(), shifts).requires_grad_()
        total, cross_entropy, penalty = self._loss(
            self._teacher, rolled(self.natural, shifts), rolled_u, self._bn_weight
        )
        (gradient,) = torch.autograd.grad(total, rolled_u)
        return rolled(gradient, -shifts), cross_entropy, penalty

    def compile(self) -> bool:
        """Compile the loss; where that is impossible (no C++ compiler), log a warning and go on without."""
        import torch._dynamo  # takes a second, and only here

        self._loss = torch.compile(_loss, fullgraph=True, dynamic=False)
        try:
            # Each teacher and shape is compiled once per process: eight, the default limit, is two per teacher.
            with torch._dynamo.config.patch(recompile_limit=256):
                u = self.zeros()
                self.gradient(u, u.new_zeros(len(u), 2, dtype=torch.int64))
        except torch._dynamo.exc.TorchDynamoException as error:
            log.warning("Teacher %r is not compiled: %s", self._teacher.name, f"{error}".strip().partition("\n")[0])
            self._loss = _loss
        return self._loss is not _loss


def _loss(teacher: MatchedTeacher, natural: Tensor, u: Tensor, bn_weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Total loss [], cross-entropy [G] and matching penalty [G] of ``natural`` [G, C, 3, H, W] + ``u`` [G, 3, H, W]."""
    groups, classes = natural.shape[:2]
    images = (natural + u[:, None]).flatten(0, 1).contiguous(memory_format=torch.channels_last)
    logits, penalty = teacher(images, groups)
    targets = torch.arange(classes, device=natural.device).repeat(groups)
    cross_entropy = F.cross_entropy(logits, targets, reduction="none").view(groups, classes).mean(1)
    total = (cross_entropy + bn_weight * penalty).sum()
    return total, cross_entropy.detach(), penalty.detach()


def rolled(images: Tensor, shifts: Tensor) -> Tensor:
    """``torch.roll`` of every ``images[g]`` [..., H, W] by its own ``shifts[g]`` (down, right), in one gather."""
    height, width = images.shape[-2:]
    rows = (torch.arange(height, device=images.device) - shifts[:, :1]) % height
    columns = (torch.arange(width, device=images.device) - shifts[:, 1:]) % width
    source = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)
    source = source.view(len(images), *[1] * (images.dim() - 3), -1)
    return torch.take_along_dim(images.flatten(-2), source, dim=-1).view_as(images)


class _Curves:
    """Notes some of the iterations without waiting for the device in the others, and stops a run gone wrong."""

    def __init__(
        self, teacher: str, natural: Tensor, settings: CompensatorSettings, bounds: tuple[Tensor, Tensor] | None
    ) -> None:
        self._teacher, self._natural, self._settings = teacher, natural, settings
        self._bounds = bounds and tuple(bound.to(natural).view(3, 1, 1) for bound in bounds)
        points = torch.linspace(0, settings.iterations - 1, min(settings.iterations, CURVE_POINTS))
        self._points = points.round().long()
        self._due = set(self._points.tolist())
        self._noted: dict[str, list[Tensor]] = {}

    def note(self, iteration: int, u: Tensor, cross_entropy: Tensor, penalty: Tensor) -> None:
        """Keep what is known of ``iteration``, if it is one of the points. Raises RunError if it is not finite."""
        if iteration not in self._due:
            return
        values = {"cross_entropy": cross_entropy, "bn_penalty": penalty, "norm": u.flatten(1).norm(dim=1)}
        for term in ("cross_entropy", "bn_penalty"):
            self._require_finite(term, values[term], f"iteration {iteration}")
        if self._bounds:
            values["clipped_share"] = self._clipped_share(u)
        for key, value in values.items():
            self._noted.setdefault(key, []).append(value.float())

    def final(self, u: Tensor) -> Tensor:
        """``u`` as it is returned. Raises RunError if it is not finite."""
        self._require_finite("compensator", u, "the end")
        return u.float().cpu()

    def collected(self) -> dict[str, Tensor]:
        """The curves by name, on the CPU."""
        return {"iteration": self._points} | {key: torch.stack(values).cpu() for key, values in self._noted.items()}

    def _clipped_share(self, u: Tensor) -> Tensor:
        low, high = self._bounds
        composed = self._natural + u[:, None]
        return ((composed < low) | (composed > high)).float().mean((1, 2, 3, 4))

    def _require_finite(self, term: str, values: Tensor, when: str) -> None:
        if not values.isfinite().all():
            raise RunError(
                f"The {term} of teacher {self._teacher!r} is not finite at {when} of {self._settings.iterations}: try "
                f"a smaller method.lr (now {self._settings.lr:g}) or method.bn_weight "
                f"(now {self._settings.bn_weight:g})"
            )


def compile_pays(iterations: int, images_per_iteration: int, image_size: int) -> bool:
    """Whether compiling costs less time than it saves in one group of compensators.

    On two shared CPU cores, 10 classes at 32x32 in groups of 3: compiling took 67 to 92 s for three of the four CIFAR
    teachers (the second run on a machine reads torch's cache: 3 to 6 s) and saved about 1 microsecond per image, pixel
    and iteration on average over the four. That is repaid after some 10^8 of them.
    """
    return iterations * images_per_iteration * image_size**2 >= 10**8
