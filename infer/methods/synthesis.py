"""Sets of images that were optimised whole, each for its class: what SRe2L, CDA and DWA share.

The unit of work is a batch: for some consecutive image indices i, the i-th images of a chunk of consecutive classes,
which share a transform and have their statistics in common. Batches belong to no set: a larger ipc only adds some.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from infer.config import Stage
from infer.config.method import SynthesisMethod
from infer.context import Context
from infer.methods.augmentation import Augmentation
from infer.methods.base import Block
from infer.methods.image_set import DistilledImages
from infer.methods.objective import OptimisationSettings, Problem
from infer.methods.optimisation import optimise, settings_of
from infer.records.names import CURVES, IMAGES
from infer.store import Artefact, Workspace
from infer.store.files import load_tensors, save_tensors
from infer.teachers.teacher import Teacher


class SynthesisedBatch(Artefact):
    """The images of one batch: those of the classes of one span for the image indices of another.

    A method is a subclass that says where the images begin (``start``), what the teacher is shown (``augmentation``)
    and, if it changes the teacher first, how (``prepared``).
    """

    kind = "syntheses"
    stage = Stage.generate
    method_name: ClassVar[str]

    def __init__(
        self, context: Context, method: SynthesisMethod, teacher: Teacher, indices: range, classes: range
    ) -> None:
        self.context, self.method, self.teacher = context, method, teacher
        self.indices, self.classes = indices, classes

    @abstractmethod
    def start(self) -> Tensor:
        """The images before the first step, normalised: float32 [indices, classes, 3, H, W]."""

    @property
    @abstractmethod
    def augmentation(self) -> Augmentation:
        """How the teacher's transforms are drawn."""

    def prepared(self, network: nn.Module, problem: Problem, settings: OptimisationSettings) -> nn.Module:
        """The network that the images are optimised through; ``network`` itself is left as it is."""
        return network

    @property
    def own_settings(self) -> Mapping[str, Any]:
        """What the images depend on besides the settings that all methods have."""
        return {}

    @property
    def variance_weight(self) -> float:
        """Of the matching penalty, see ``OptimisationSettings``."""
        return 1.0

    @property
    def name(self) -> str:
        indices, classes = (f"{span.start}-{span.stop - 1}" for span in (self.indices, self.classes))
        return f"{self.context.data.name}-{self.method_name}-{self.teacher.arch}-i{indices}-c{classes}"

    @property
    def settings(self) -> Mapping[str, Any]:
        method = self.method
        return {
            "method": self.method_name,
            "data": self.context.data.fingerprint,
            "seed": self.context.config.seed,
            "indices": [self.indices.start, self.indices.stop],
            "classes": [self.classes.start, self.classes.stop],
            "iterations": method.iterations,
            "lr": method.lr,
            "bn_weight": method.bn_weight,
            "first_bn_multiplier": method.first_bn_multiplier,
            "precision": method.precision,
            **self.augmentation.settings,
            **self.own_settings,
        }

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {"teacher": self.teacher}

    def make(self, workspace: Workspace) -> dict[str, Any]:
        method, data = self.method, self.context.data
        images = len(self.indices) * len(self.classes)
        settings = settings_of(method, images, data.image_size, variance_weight=self.variance_weight)
        problem = self._problem()
        network = self.prepared(self.teacher.network(), problem, settings)
        description = f"generate images {self.indices.start}..{self.indices.stop - 1} of {len(self.classes)} classes"
        with self.context.console.progress(description, method.iterations) as ticker:
            found = optimise(network, problem, settings, ticker.advance_to, self.teacher.arch)
        save_tensors(workspace.folder / f"{IMAGES}.safetensors", {IMAGES: data.normalisation.to_bytes(found.free)})
        save_tensors(workspace.folder / CURVES, found.curves)
        return {"compiled": found.compiled, "final": found.last_values}

    def images(self) -> Tensor:
        """The finished images: uint8 [indices, classes, 3, H, W]."""
        return load_tensors(self.context.folder(self) / f"{IMAGES}.safetensors")[IMAGES]

    def _problem(self) -> Problem:
        """Images that are kept within the valid range after every step, as in the published codes."""
        context, data = self.context, self.context.data
        start = self.start().to(context.device)
        low, high = (bound.to(context.device) for bound in data.normalisation.valid_range)
        streams = [(self.teacher.arch, "image", index, self.classes.start) for index in self.indices]
        return Problem(
            start,
            torch.arange(self.classes.start, self.classes.stop),
            self.augmentation.draw(context.config.seed, streams, self.method.iterations, data.image_size),
            project=lambda images: images.clamp_(low, high),
            measure=lambda images: {
                "distance": (images - start).square().mean((1, 2, 3, 4)).sqrt(),
                "saturated_share": ((images <= low) | (images >= high)).float().mean((1, 2, 3, 4)),
            },
        )


class SynthesisedSet(DistilledImages):
    """``per_class`` images of each class by ``method``, out of ``batches``, which together have all of them."""

    def __init__(self, context: Context, method: str, per_class: int, batches: list[SynthesisedBatch]) -> None:
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
        """A block for each batch, so that a larger set labels only what it adds."""
        return [self._block(batch) for batch in self.batches]

    def _block(self, batch: SynthesisedBatch) -> Block:
        data = self.context.data
        return Block(
            name=batch.name.removeprefix(f"{data.name}-"),
            settings={},
            parents={"images": batch},
            images=lambda: data.normalisation.normalise(batch.images().flatten(0, 1)),
            rows=self._rows(batch),
        )

    def _rows(self, batch: SynthesisedBatch) -> Tensor:
        """Where the images of ``batch`` stand, index by index; those of indices beyond the set have no place."""
        indices = torch.arange(batch.indices.start, min(batch.indices.stop, self.per_class))
        classes = torch.arange(batch.classes.start, batch.classes.stop)
        return (indices[:, None] + classes * self.per_class).flatten()

    @property
    def generation(self) -> dict[str, Any]:
        return {"optimised": "images", "each": "sets of one image per class", "count": None}
