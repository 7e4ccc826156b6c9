"""Compensators: one image-sized tensor per teacher and natural subset, added to all images of the subset.

For every subset P_k a compensator u_k, which starts at zero, is optimised to minimise CE(teacher(augment(P_k + u_k)),
class) + bn_weight * batch-norm penalty over the C images of the subset (INFER, ICLR 2025, eq. 5; zhangxin-xd/UFC,
ufc_generation/ufc_cifar.py).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from infer.config import Stage
from infer.context import Context
from infer.distilled.compose import enlarged
from infer.errors import RunError
from infer.methods.infer import ChunkStatistics, InferMethod
from infer.methods.optimisation.augmentation import Augmentation, Transforms
from infer.methods.optimisation.loop import OptimisationResult, is_to_be_compiled, optimise
from infer.methods.optimisation.loss import Problem
from infer.normalisation import MOST_CLIPPED
from infer.records.names import CURVES
from infer.store import Artefact, Sharing, Workspace
from infer.store.files import load_tensors, save_tensors
from infer.teachers.teacher import Teacher
from infer.training.memory import AsManyAsFit
from infer.work import Pass, Work

_COMPENSATORS = "compensators.safetensors"


class CompensatorGroup(Artefact):
    """The float32 compensators of one teacher for consecutive subsets k, optimised in one batch."""

    kind = "compensators"
    stage = Stage.generate
    sharing = Sharing.together

    def __init__(self, context: Context, method: InferMethod, teacher: Teacher, subsets: range) -> None:
        self._context = context
        self._method = method
        self.teacher = teacher
        self.subsets = subsets

    @property
    def name(self) -> str:
        return f"{self._context.data.name}-{self.teacher.arch}-k{self.subsets.start}-{self.subsets.stop - 1}"

    @property
    def settings(self) -> Mapping[str, Any]:
        data = self._context.data
        return {
            "data": data.fingerprint,
            "seed": self._context.config.seed,
            "subsets": [self.subsets.start, self.subsets.stop],
            **self._method.compensator_settings(data.num_classes),
        }

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {"teacher": self.teacher}

    @property
    def work(self) -> Work:
        context, method, classes = self._context, self._method, self._context.data.num_classes
        images, chunk = len(self.subsets) * classes, method.chunk_of(classes)
        compiled = is_to_be_compiled(method, images, context.data.image_size)
        together = len(self.subsets) * (chunk or classes)
        ways = [Pass.optimise]
        if chunk is not None and method.chunk_statistics is ChunkStatistics.all:
            ways.append(Pass.forward)  # the pass that collects the statistics
        total, precision = method.iterations * images, method.precision.value
        passes = partial(context.passes, of_step=images)
        return Work([passes(how, self.teacher.arch, total, together, precision, compiled) for how in ways])

    @property
    def expected_bytes(self) -> int:
        method, size = self._method, self._context.data.image_size // self._method.compensator_scale
        count = len(self.subsets) * (self._context.data.num_classes if method.per_class else 1)
        return count * 3 * size**2 * torch.float32.itemsize

    def make(self, workspace: Workspace) -> dict[str, Any]:
        context, method = self._context, self._method
        description = f"generate {self.teacher.arch} k={self.subsets.start}..{self.subsets.stop - 1}"
        with context.meter(self, description, method.iterations, "steps") as meter:

            def optimised(classes_at_once: int) -> OptimisationResult:
                return optimise(
                    self.teacher.network(),
                    self._problem(classes_at_once),
                    method,
                    on_progress=meter.advance_to,
                    name=self.teacher.arch,
                    checkpoint=context.checkpoint(self, workspace),
                )

            classes_at_once = method.chunk_of(context.data.num_classes) or context.data.num_classes
            if method.is_exact_in_chunks:  # smaller chunks give the same result up to rounding
                result = AsManyAsFit(classes_at_once, "classes of a subset").run(optimised)
            else:
                result = optimised(classes_at_once)
        self._require_sane(result.last_values["clipped_share"])
        found = result.variable if method.per_class else result.variable.squeeze(1)
        save_tensors(workspace.folder / _COMPENSATORS, {"compensators": found})
        save_tensors(workspace.folder / CURVES, result.curves)
        return {"compiled": result.compiled, "final": result.last_values}

    def _require_sane(self, clipped: Sequence[float]) -> None:
        """Raise RunError for compensators that diverged; ``clipped`` holds each subset's share of clipped values."""
        for k, share in zip(self.subsets, clipped, strict=True):
            if share > MOST_CLIPPED:
                raise RunError(
                    f"The compensator of teacher {self.teacher.arch!r} for subset k={k} diverged: {share:.0%} of the "
                    "values of its composed images are black or white, whatever the image. Try a smaller method.lr "
                    f"(now {self._method.lr:g})"
                )

    def compensators(self) -> Tensor:
        """The compensators in normalised units, not clipped: float32 [subsets, 3, h, w].

        With ``method.ablation=per_class`` they are [subsets, C, 3, h, w].
        """
        return load_tensors(self._context.folder(self) / _COMPENSATORS)["compensators"]

    def _problem(self, classes_at_once: int) -> Problem:
        context, method, data = self._context, self._method, self._context.data
        seed = context.config.seed
        natural = data.natural(seed, self.subsets.start, self.subsets.stop)
        augmentation = Augmentation(method.jitter_px, crop_scale_min=method.crop_scale_min)
        groups = [(self.teacher.arch, k) for k in self.subsets]
        return compensation(
            data.normalisation.normalise(natural).to(context.device),
            augmentation.draw(seed, groups, method.iterations, data.image_size),
            data.normalisation.valid_range,
            classes_at_once if classes_at_once < data.num_classes else None,
            method.chunk_statistics,
            per_class=method.per_class,
            scale=method.compensator_scale,
        )


def compensation(
    natural: Tensor,
    transforms: Transforms,
    bounds: tuple[Tensor, Tensor] | None = None,
    class_chunk: int | None = None,
    chunk_statistics: ChunkStatistics = ChunkStatistics.all,
    per_class: bool = False,
    scale: int = 1,
) -> Problem:
    """Optimisation problem whose solution [G, 1, 3, h, w] holds the compensators of the subsets ``natural``.

    ``natural`` is float [G, C, 3, H, W], normalised, with the image of class c at position c of a subset; h = H /
    ``scale``. With ``per_class`` the solution is [G, C, 3, h, w]. ``norm``, ||u||_2, is recorded beside the losses.
    Given ``bounds``, the lowest and highest valid value of each channel, so is ``clipped_share``, the share of the
    values of P + u outside of the bounds, for which at most ``class_chunk`` images of a subset are composed at a time.
    """

    size = natural.shape[-1]

    def measure(u: Tensor) -> dict[str, Tensor]:
        values = {"norm": u.flatten(1).norm(dim=1)}
        if bounds:
            chunks = torch.split(natural, class_chunk or natural.shape[1], dim=1)
            values["clipped_share"] = clipped_share(chunks, enlarged(u, size), *bounds)
        return values

    return Problem(
        start=natural.new_zeros(len(natural), natural.shape[1] if per_class else 1, 3, size // scale, size // scale),
        classes=torch.arange(natural.shape[1]),
        transforms=transforms,
        base=natural,
        as_images=partial(enlarged, size=size),
        class_chunk=class_chunk,
        chunk_statistics=chunk_statistics,
        measure=measure,
    )


def clipped_share(chunks: Sequence[Tensor], u: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Share of the values of ``chunks`` [G, c, 3, H, W] + ``u`` below ``low`` or above ``high``: float32 [G]."""
    low, high = (bound.to(u).view(3, 1, 1) for bound in (low, high))
    clipped = torch.zeros(len(u), dtype=torch.int64, device=u.device)
    for chunk in chunks:
        composed = chunk.to(u.dtype) + u
        clipped += ((composed < low) | (composed > high)).sum((1, 2, 3, 4))
    return clipped / sum(chunk[0].numel() for chunk in chunks)
