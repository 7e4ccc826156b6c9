"""FKD labels: dynamic labels stored ahead (Shen and Xing, 2022).

For every stored epoch there is what the teachers say of each augmented, mixed batch, in float16. The crops, flips and
mixing themselves are not stored but drawn again from one seed. So all students of a set, of whatever architecture, see
the same batches in the same order; repeats differ in their first weights (and dropout) alone, and their spread is
smaller than that of dynamic labels for that reason.
"""

from collections.abc import Mapping
from dataclasses import replace
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
from infer.methods.base import TrainingSet
from infer.methods.budget import LOGIT_BYTES
from infer.spans import spans
from infer.stages.squeeze import Teacher
from infer.store import Artefact, Workspace
from infer.store.files import load_tensors, save_tensors
from infer.training.batches import Batch, BatchSource
from infer.training.draws import Draws
from infer.training.images import Units
from infer.training.objectives import Objective
from infer.training.plan import Plan

_LOGITS = "logits.safetensors"
_EPOCHS_PER_CHUNK = 10
_SEED_BYTES = 8


class FkdChunk(Artefact):
    """The ensemble's logits on the batches of the epochs ``range(start, stop)``, in the order of their images."""

    kind = "labels"
    stage = Stage.relabel

    def __init__(
        self, context: Context, images: TrainingSet, teachers: list[Teacher], plan: Plan, epochs: tuple[int, int]
    ) -> None:
        self._context = context
        self._images = images
        self._teachers = teachers
        self._ensemble = Ensemble(context, teachers)
        self._topk = context.config.labeling.topk
        self._plan = replace(plan, steps=epochs[1] * plan.steps_per_epoch)  # no epoch ends early
        self.start, self.stop = epochs

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
        labelled = self._ensemble.labeller(images.units)
        epochs = []
        with self._context.console.progress(f"relabel {self.name}", self.stop - self.start) as ticker:
            for epoch in range(self.start, self.stop):
                parts = (part for batch in source.epoch(epoch) for part in batch.parts(self._plan.part_size))
                epochs.append(self._pruned(torch.cat([labelled(part.images) for part in parts])))
                ticker.advance_to(len(epochs))
        save_tensors(workspace.folder / _LOGITS, {key: torch.stack([e[key] for e in epochs]) for key in epochs[0]})
        return {"epochs": len(epochs), "images_per_epoch": epochs[0]["logits"].shape[0]}

    def tensors(self) -> dict[str, Tensor]:
        """``logits`` float16 [epochs, shown, C]; pruned: [epochs, shown, k] and ``classes`` of the same shape, in the
        smallest integer type that holds them."""
        return load_tensors(self._context.folder(self) / _LOGITS)

    def _pruned(self, logits: Tensor) -> dict[str, Tensor]:
        if self._topk is None:
            return {"logits": logits.half().cpu()}
        highest = logits.topk(self._topk, dim=1)
        return {
            "logits": highest.values.half().cpu(),
            "classes": highest.indices.to(_class_dtype(logits.shape[1])).cpu(),
        }


class FkdLabels:
    """The stored logits of all epochs, and the draws that they belong to."""

    mode = "fkd"

    def __init__(
        self, context: Context, images: TrainingSet, teachers: list[Teacher], plan: Plan, loss: SoftLabelLoss
    ) -> None:
        labeling, num_classes = context.config.labeling, context.data.num_classes
        if labeling.topk is not None and labeling.topk > num_classes:
            raise UsageError(
                f"labeling.topk={labeling.topk} is not possible: {context.data.name} has {num_classes} classes"
            )
        self.plan = plan
        self.epochs = epochs_stored(plan, labeling)
        self.label_bytes = fkd_bytes(plan, num_classes, labeling)
        self.image_size = (context.data.image_size, context.data.image_size)
        self.draws = replace(_draws(context), cycle=self.epochs)
        self._num_classes = num_classes
        self._loss = loss
        chunks = spans(self.epochs, _EPOCHS_PER_CHUNK)
        self.chunks = [FkdChunk(context, images, teachers, plan, span) for span in chunks]

    @property
    def student_settings(self) -> Mapping[str, Any]:
        return {"labels": "fkd", **self._loss.settings, "epochs_stored": self.epochs}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {f"epochs/{chunk.start}": chunk for chunk in self.chunks}

    def objective(self, device: torch.device, units: Units) -> Objective:
        reader = FkdReader(self.chunks, device)

        def objective(student: Tensor, batch: Batch) -> Tensor:
            rows = slice(batch.first, batch.first + len(batch.index))
            return self._loss(student, dense_logits(*reader.rows(batch.epoch, rows), self._num_classes))

        return objective


class FkdReader:
    """Reads the stored logits of one epoch after the other; one chunk at a time is on ``device``."""

    def __init__(self, chunks: list[FkdChunk], device: torch.device) -> None:
        self._chunks = chunks
        self._device = device
        self._loaded: tuple[int, dict[str, Tensor]] = (-1, {})

    def rows(self, epoch: int, rows: slice) -> tuple[Tensor, Tensor | None]:
        """Logits and, where they are pruned, their classes, of the images in ``rows`` of the order of ``epoch``."""
        number, within = divmod(epoch, _EPOCHS_PER_CHUNK)
        if self._loaded[0] != number:
            tensors = self._chunks[number].tensors()
            self._loaded = number, {name: tensor.to(self._device) for name, tensor in tensors.items()}
        tensors = self._loaded[1]
        classes = tensors["classes"][within, rows] if "classes" in tensors else None
        return tensors["logits"][within, rows], classes


def dense_logits(logits: Tensor, classes: Tensor | None, num_classes: int) -> Tensor:
    """Float32 logits of all classes [B, C]: -inf, which softmax makes zero, where none was stored."""
    if classes is None:
        return logits.float()
    dense = torch.full((len(logits), num_classes), -torch.inf, device=logits.device)
    return dense.scatter_(1, classes.long(), logits.float())


def epochs_stored(plan: Plan, labeling: LabelingConfig) -> int:
    """Epochs for which logits are stored: no more than students are trained for."""
    return min(labeling.epochs_stored or plan.epochs, plan.epochs)


def fkd_bytes(plan: Plan, num_classes: int, labeling: LabelingConfig) -> int:
    """What the labels cost: two bytes a logit, one to four more for its class where they are pruned, and one seed."""
    per_image = num_classes * LOGIT_BYTES
    if labeling.topk is not None:
        per_image = labeling.topk * (LOGIT_BYTES + _class_dtype(num_classes).itemsize)
    return epochs_stored(plan, labeling) * sum(plan.batch_sizes) * per_image + _SEED_BYTES


def _class_dtype(num_classes: int) -> torch.dtype:
    """The smallest type that holds every class."""
    types = (torch.uint8, torch.int16, torch.int32)
    return next(dtype for dtype in types if num_classes - 1 <= torch.iinfo(dtype).max)


def _draws(context: Context) -> Draws:
    return Draws((context.config.seed, "fkd"))
