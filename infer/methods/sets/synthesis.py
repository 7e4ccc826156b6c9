"""Sets of optimised images, each of one class: the common part of SRe2L, CDA and DWA.

Images are optimised in batches. A batch holds, for some consecutive image indices i, the i-th images of a chunk of
consecutive classes; those of the same index share a transform and their batch-norm statistics. Batches do not depend on
the set: a set of a larger ipc has the same batches and some more.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from infer.config import Stage
from infer.context import Context
from infer.errors import RunError
from infer.methods.budget import image_bytes
from infer.methods.optimisation.augmentation import Augmentation
from infer.methods.optimisation.loop import is_to_be_compiled, optimise
from infer.methods.optimisation.loss import Problem
from infer.methods.optimisation_settings import SynthesisMethod
from infer.methods.sets.base import Block
from infer.methods.sets.image_set import DistilledImages
from infer.normalisation import MOST_CLIPPED
from infer.records.names import CURVES, IMAGES, tensor_file
from infer.store import Artefact, Sharing, Workspace
from infer.store.files import load_tensors, save_tensors
from infer.teachers.teacher import Teacher
from infer.work import Pass, Work

SettingsT = TypeVar("SettingsT", bound=SynthesisMethod)


class SynthesisedBatch(Artefact, Generic[SettingsT]):
    """Images of one batch: consecutive ``classes``, with consecutive ``indices`` within each class.

    A method defines a subclass that returns the images before the first step (``start``), the augmentation and, if it
    perturbs the teacher, the perturbed network (``prepared``).
    """

    kind = "syntheses"
    stage = Stage.generate
    sharing = Sharing.apart
    method_name: ClassVar[str]

    def __init__(self, context: Context, method: SettingsT, teacher: Teacher, indices: range, classes: range) -> None:
        self.context, self.method, self.teacher = context, method, teacher
        self.indices, self.classes = indices, classes

    @abstractmethod
    def start(self) -> Tensor:
        """The images before the first step, normalised: float32 [indices, classes, 3, H, W]."""

    @property
    def augmentation(self) -> Augmentation:
        """Distribution of the transforms."""
        return Augmentation(self.method.jitter_px, crop_scale_min=self.method.crop_scale_min)

    @property
    def variance_weight(self) -> float:
        """Weight of the variances in the batch-norm penalty, where the means have weight 1."""
        return 1.0

    def prepared(self, network: nn.Module, problem: Problem) -> tuple[nn.Module, Problem]:
        """The network through which the images are optimised, and the problem to solve.

        Neither ``network`` nor ``problem`` is changed.
        """
        return network, problem

    @property
    def name(self) -> str:
        indices, classes = (f"{each.start}-{each.stop - 1}" for each in (self.indices, self.classes))
        return f"{self.context.data.name}-{self.method_name}-{self.teacher.arch}-i{indices}-c{classes}"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {
            "method": self.method_name,
            "data": self.context.data.fingerprint,
            "seed": self.context.config.seed,
            "indices": [self.indices.start, self.indices.stop],
            "classes": [self.classes.start, self.classes.stop],
            **self.method.signature_settings,
        }

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {"teacher": self.teacher}

    @property
    def work(self) -> Work:
        context, method, images = self.context, self.method, len(self.indices) * len(self.classes)
        compiled = is_to_be_compiled(method, images, context.data.image_size)
        total, precision = method.iterations * images, method.precision.value
        return Work([context.passes(Pass.optimise, self.teacher.arch, total, images, precision, compiled)])

    @property
    def expected_bytes(self) -> int:
        return len(self.indices) * len(self.classes) * image_bytes(self.context.data.image_size)

    def make(self, workspace: Workspace) -> dict[str, Any]:
        method = self.method
        network, problem = self.prepared(self.teacher.network(), self._problem())
        description = f"generate images {self.indices.start}..{self.indices.stop - 1} of {len(self.classes)} classes"
        checkpoint = self.context.checkpoint(self, workspace)
        with self.context.meter(self, description, method.iterations, "steps") as meter:
            result = optimise(network, problem, method, meter.advance_to, self.teacher.arch, checkpoint)
        self._require_sane(problem, result.last_values["saturated_share"])
        pixels = self.context.data.normalisation.to_bytes(result.variable)
        save_tensors(workspace.folder / tensor_file(IMAGES), {IMAGES: pixels})
        save_tensors(workspace.folder / CURVES, result.curves)
        return {"compiled": result.compiled, "final": result.last_values}

    def _require_sane(self, problem: Problem, saturated: Sequence[float]) -> None:
        """Raise RunError for images that diverged; ``saturated`` holds the share of black or white values of each."""
        begun = problem.measure(problem.start)["saturated_share"].mean().item()
        share = sum(saturated) / len(saturated)
        if share > MOST_CLIPPED >= begun:
            raise RunError(
                f"The images {self.name} diverged: {share:.0%} of their values are black or white. Try a smaller "
                f"method.lr (now {self.method.lr:g})"
            )

    def images(self) -> Tensor:
        """The finished images: uint8 [indices, classes, 3, H, W]."""
        return load_tensors(self.context.folder(self) / tensor_file(IMAGES))[IMAGES]

    def _problem(self) -> Problem:
        """Optimisation problem of the images, clipped to the valid range after every step, as in the published code."""
        context, data = self.context, self.context.data
        start = self.start().to(context.device)
        low, high = (bound.to(context.device) for bound in data.normalisation.valid_range)
        groups = [(self.teacher.arch, "image", index, self.classes.start) for index in self.indices]
        return Problem(
            start,
            torch.arange(self.classes.start, self.classes.stop),
            self.augmentation.draw(context.config.seed, groups, self.method.iterations, data.image_size),
            variance_weight=self.variance_weight,
            project=lambda images: images.clamp_(low, high),
            measure=lambda images: {
                "distance": (images - start).square().mean((1, 2, 3, 4)).sqrt(),
                "saturated_share": ((images <= low) | (images >= high)).float().mean((1, 2, 3, 4)),
            },
        )


class SynthesisedSet(DistilledImages):
    """``per_class`` images of each class made by ``method``, taken from ``batches``, which together hold all images."""

    def __init__(self, context: Context, method: str, per_class: int, batches: Sequence[SynthesisedBatch[Any]]) -> None:
        super().__init__(context, per_class)
        self.method, self.batches = method, batches

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"data": self.context.data.fingerprint, "per_class": self.per_class}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {f"images/{number}": batch for number, batch in enumerate(self.batches)}

    def finished_images(self) -> tuple[Tensor, Tensor]:
        data = self.context.data
        images = torch.empty(self.num_images, 3, data.image_size, data.image_size, dtype=torch.uint8)
        for batch in self.batches:
            rows = self._rows(batch)
            images[rows] = batch.images().flatten(0, 1)[: len(rows)]
        return images, torch.arange(data.num_classes).repeat_interleave(self.per_class)

    @property
    def blocks(self) -> list[Block]:
        """One block for each batch, so that a larger set only labels the images that it adds."""
        return [self._block(batch) for batch in self.batches]

    def _block(self, batch: SynthesisedBatch[Any]) -> Block:
        data = self.context.data
        return Block(
            name=batch.name.removeprefix(f"{data.name}-"),
            settings={},
            parents={"images": batch},
            images=lambda: data.normalisation.normalise(batch.images().flatten(0, 1)),
            rows=self._rows(batch),
        )

    def _rows(self, batch: SynthesisedBatch[Any]) -> Tensor:
        """Positions in the set of the images of ``batch``, index by index; indices beyond the set are left out."""
        indices = torch.arange(batch.indices.start, min(batch.indices.stop, self.per_class))
        classes = torch.arange(batch.classes.start, batch.classes.stop)
        return (indices[:, None] + classes * self.per_class).flatten()

    @property
    def generation(self) -> dict[str, Any]:
        return {"optimised": "images", "each": "sets of one image per class", "count": None}
