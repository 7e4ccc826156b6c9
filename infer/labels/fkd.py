"""FKD labels: dynamic labels stored ahead (Shen and Xing, 2022).

For every stored epoch there is what the teachers say of each augmented, mixed batch, in float16. The crops, flips and
mixing themselves are not stored but drawn again from one seed. So all students of a set, of whatever architecture, see
the same batches in the same order; repeats differ in their first weights (and dropout) alone, and their spread is
smaller than that of dynamic labels for that reason.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from infer.config import Stage
from infer.config.evaluate import TeacherBn
from infer.config.labeling import LabelingConfig
from infer.context import Context
from infer.errors import UsageError
from infer.labels.base import SoftLabelLoss, artefacts_of
from infer.labels.ensemble import Ensemble
from infer.labels.fkd_reader import EPOCHS_PER_CHUNK, FkdReader, dense_logits
from infer.methods.base import TrainingSet
from infer.methods.budget import LOGIT_BYTES
from infer.normalisation import Normalisation
from infer.ranges import consecutive
from infer.store import Artefact, Workspace
from infer.store.files import load_tensors, save_tensors
from infer.teachers.teacher import Teacher
from infer.training.batches import Batch, BatchSource
from infer.training.draws import Draws
from infer.training.objectives import Objective
from infer.training.plan import Plan

LOGITS = "logits.safetensors"
_SEED_BYTES = 8


class StoredEpochs(Artefact):
    """The logits of the batches of the epochs ``range(start, stop)``, in the order of their images."""

    kind = "labels"
    stage = Stage.relabel

    def __init__(self, context: Context, images: TrainingSet, epochs: range) -> None:
        self._context = context
        self._images = images
        self.start, self.stop = epochs.start, epochs.stop

    def tensors(self) -> dict[str, Tensor]:
        """``logits`` float16 (as they came, where they were made elsewhere) [epochs, shown, C]; pruned: [epochs, shown,
        k] and ``classes`` of the same shape, in the smallest integer type that holds them."""
        return load_tensors(self._context.folder(self) / LOGITS)


class FkdChunk(StoredEpochs):
    """What the ensemble says of batches that are drawn from one seed."""

    def __init__(
        self, context: Context, images: TrainingSet, teachers: list[Teacher], plan: Plan, epochs: range
    ) -> None:
        super().__init__(context, images, epochs)
        self._teachers = teachers
        self._ensemble = Ensemble(context, teachers)
        self._topk = context.config.labeling.topk
        self._plan = replace(plan, steps=self.stop * plan.steps_per_epoch)  # no epoch ends early

    @property
    def name(self) -> str:
        return f"{self._images.name}-fkd-e{self.start}-{self.stop - 1}-by-{len(self._teachers)}"

    @property
    def settings(self) -> Mapping[str, Any]:
        settings = {
            "mode": "fkd",
            "epochs": [self.start, self.stop],
            "draws": self._plan.draws_recipe(),
            "seed": self._context.config.seed,
            "topk": self._topk,
            "images": dict(self._images.student_settings),
            **self._ensemble.settings,
        }
        if self._context.config.evaluate.teacher_bn is TeacherBn.batch:
            settings["labelled_together"] = self._plan.part_size
        return settings

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {f"teacher/{n}": teacher for n, teacher in enumerate(self._teachers)} | artefacts_of(
            "images", self._images
        )

    def make(self, workspace: Workspace) -> dict[str, Any]:
        images = self._images.images().to(self._context.device)
        source = BatchSource(images, self._plan, _draws(self._context))
        labelled = self._ensemble.labeller(images.normalisation)
        epochs = []
        with self._context.console.progress(f"relabel {self.name}", self.stop - self.start) as ticker:
            for epoch in range(self.start, self.stop):
                parts = (part for batch in source.epoch(epoch) for part in batch.parts(self._plan.part_size))
                epochs.append(self._pruned(torch.cat([labelled(part.images) for part in parts])))
                ticker.advance_to(len(epochs))
        save_tensors(workspace.folder / LOGITS, {key: torch.stack([e[key] for e in epochs]) for key in epochs[0]})
        return {"epochs": len(epochs), "images_per_epoch": epochs[0]["logits"].shape[0]}

    def _pruned(self, logits: Tensor) -> dict[str, Tensor]:
        if self._topk is None:
            return {"logits": logits.half().cpu()}
        highest = logits.topk(self._topk, dim=1)
        return {
            "logits": highest.values.half().cpu(),
            "classes": highest.indices.to(_class_dtype(logits.shape[1])).cpu(),
        }


@dataclass(frozen=True)
class Price:
    """What stored epochs cost in bytes."""

    per_epoch: int
    once: int

    def of(self, epochs: int) -> int:
        """What so many of them cost."""
        return epochs * self.per_epoch + self.once


class FkdLabels(ABC):
    """The stored logits of all epochs, and the draws that they belong to."""

    mode = "fkd"

    def __init__(
        self, context: Context, plan: Plan, chunks: Sequence[StoredEpochs], price: Price, loss: SoftLabelLoss
    ) -> None:
        self.plan = plan
        self.chunks = chunks
        self.epochs = chunks[-1].stop
        self.price = price
        self.label_bytes = price.of(self.epochs)
        self.image_size = (context.data.image_size, context.data.image_size)
        self._num_classes = context.data.num_classes
        self._loss = loss

    @property
    @abstractmethod
    def draws(self) -> Draws:
        """What students see; it begins again after ``epochs`` epochs."""

    @property
    def student_settings(self) -> Mapping[str, Any]:
        return {"labels": "fkd", **self._loss.settings, "epochs_stored": self.epochs}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {f"epochs/{chunk.start}": chunk for chunk in self.chunks}

    def objective(self, device: torch.device, normalisation: Normalisation) -> Objective:
        reader = FkdReader(self.chunks, device)

        def objective(student: Tensor, batch: Batch) -> Tensor:
            rows = slice(batch.first, batch.first + len(batch.index))
            return self._loss(student, dense_logits(*reader.rows(batch.epoch, rows), self._num_classes))

        return objective


class TeachersFkdLabels(FkdLabels):
    """What the run's teachers say of batches that are drawn from one seed."""

    def __init__(
        self, context: Context, images: TrainingSet, teachers: list[Teacher], plan: Plan, loss: SoftLabelLoss
    ) -> None:
        labeling, num_classes = context.config.labeling, context.data.num_classes
        if labeling.topk is not None and labeling.topk > num_classes:
            raise UsageError(
                f"labeling.topk={labeling.topk} is not possible: {context.data.name} has {num_classes} classes"
            )
        epochs = consecutive(epochs_stored(plan, labeling), EPOCHS_PER_CHUNK)
        chunks = [FkdChunk(context, images, teachers, plan, span) for span in epochs]
        super().__init__(context, plan, chunks, _price(plan, num_classes, labeling), loss)
        self._draws = replace(_draws(context), cycle=self.epochs)

    @property
    def draws(self) -> Draws:
        return self._draws


def epochs_stored(plan: Plan, labeling: LabelingConfig) -> int:
    """Epochs for which logits are stored: no more than students are trained for."""
    return min(labeling.epochs_stored or plan.epochs, plan.epochs)


def fkd_bytes(plan: Plan, num_classes: int, labeling: LabelingConfig) -> int:
    """What the labels cost: two bytes a logit, one to four more for its class where they are pruned, and one seed."""
    return _price(plan, num_classes, labeling).of(epochs_stored(plan, labeling))


def _price(plan: Plan, num_classes: int, labeling: LabelingConfig) -> Price:
    per_image = num_classes * LOGIT_BYTES
    if labeling.topk is not None:
        per_image = labeling.topk * (LOGIT_BYTES + _class_dtype(num_classes).itemsize)
    return Price(sum(plan.batch_sizes) * per_image, _SEED_BYTES)


def _class_dtype(num_classes: int) -> torch.dtype:
    """The smallest type that holds every class."""
    types = (torch.uint8, torch.int16, torch.int32)
    return next(dtype for dtype in types if num_classes - 1 <= torch.iinfo(dtype).max)


def _draws(context: Context) -> Draws:
    return Draws((context.config.seed, "fkd"))
