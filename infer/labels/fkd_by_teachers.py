"""FKD labels made by the run's teachers: batches drawn from the run's seed, and the teachers' logits on them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from infer.config.evaluate import Mix, TeacherBn
from infer.config.labeling import LabelingConfig
from infer.config.training import Crop
from infer.context import Context
from infer.distilled.fkd import FkdBatch, FkdForm
from infer.errors import UsageError
from infer.labels.base import SoftLabelLoss, artefacts_of
from infer.labels.ensemble import Ensemble
from infer.labels.fkd import FkdChunk, FkdLabels, in_chunks
from infer.methods.sets.base import TrainingSet
from infer.ranks import ranks
from infer.store import Artefact, Sharing
from infer.teachers.teacher import Teacher
from infer.training.batches import Batch, BatchSource
from infer.training.draws import Draws, EpochDraws
from infer.training.plan import Plan
from infer.work import Work


class TeachersFkdChunk(FkdChunk):
    """Batches that are drawn from the run's seed and labelled by its teachers."""

    sharing = Sharing.together

    def __init__(
        self, context: Context, images: TrainingSet, teachers: list[Teacher], plan: Plan, epochs: range
    ) -> None:
        super().__init__(context, images, _form_of(context, plan), epochs)
        self._ensemble = Ensemble(context, teachers)
        self._plan = replace(plan, steps=epochs.stop * plan.steps_per_epoch)  # no epoch ends early

    @property
    def name(self) -> str:
        return f"{self._images.name}-fkd-e{self.epochs.start}-{self.epochs[-1]}-by-{len(self._ensemble.parents)}"

    @property
    def settings(self) -> Mapping[str, Any]:
        settings = {
            "mode": "fkd",
            "epochs": [self.epochs.start, self.epochs.stop],
            "draws": self._plan.draws_recipe(),
            "seed": self._context.config.seed,
            "topk": self._form.topk,
            "images": dict(self._images.student_settings),
            **self._ensemble.settings,
        }
        if self._context.config.evaluate.teacher_bn is TeacherBn.batch:
            settings["labelled_together"] = self._plan.part_size
        return settings

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {**self._ensemble.parents, **artefacts_of("images", self._images)}

    @property
    def work(self) -> Work:
        return Work(self._ensemble.passes(self._images_shown, self._plan.largest_part))

    def labelled_epochs(self, on_images: Callable[[int], None]) -> Iterator[list[FkdBatch]]:
        images = self._images.images().to(self._context.device)
        draws = Draws((self._context.config.seed, "fkd"))
        source = BatchSource(images, self._plan, draws)
        teachers_logits = self._ensemble.labeller(images.normalisation)
        done = 0
        for epoch in self.epochs:
            labelled = []
            for part in (part for batch in source.epoch(epoch) for part in batch.parts(self._plan.part_size)):
                logits, count = _labelled(part, teachers_logits)
                labelled.append(logits)
                done += count
                on_images(done)
            values, classes = self._pruned(torch.cat(labelled))
            if ranks.count > 1:
                sizes = [len(part) for part in labelled]
                values, classes = _in_order(values, sizes), None if classes is None else _in_order(classes, sizes)
            size = self._context.data.image_size
            yield self._batches(draws.of(self._plan, epoch, (size, size)), values, classes)

    def _pruned(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits as they are stored, and their classes where only the highest are stored (``topk``)."""
        if self._form.topk is None:
            return logits.half().cpu(), None
        highest = logits.topk(self._form.topk, dim=1)
        return highest.values.half().cpu(), highest.indices.cpu()

    def _batches(self, drawn: EpochDraws, logits: Tensor, classes: Tensor | None) -> list[FkdBatch]:
        size = self._context.data.image_size
        crops = drawn.crop_boxes(self._plan.settings.crop_padding, (size, size))
        return [
            FkdBatch(
                index=drawn.order[rows],
                crops=crops[rows],
                flip=drawn.flip[rows],
                patch_rows=_of_rows(drawn.patch_rows, rows),
                patch_columns=_of_rows(drawn.patch_columns, rows),
                partner=_of_rows(drawn.partner, rows),
                weight=drawn.weights[number],
                cut_box=None if drawn.boxes is None else drawn.boxes[number],
                logits=logits[rows],
                classes=_of_rows(classes, rows),
            )
            for number, rows in enumerate(self._plan.batches)
        ]


def teachers_labels(
    context: Context, images: TrainingSet, teachers: list[Teacher], plan: Plan, loss: SoftLabelLoss
) -> FkdLabels:
    """FKD labels made by the run's teachers. Raises UsageError where ``topk`` exceeds the number of classes."""
    labeling, num_classes = context.config.labeling, context.data.num_classes
    if labeling.topk is not None and labeling.topk > num_classes:
        raise UsageError(
            f"labeling.topk={labeling.topk} is not possible: {context.data.name} has {num_classes} classes"
        )
    epochs = in_chunks(_epochs_stored(plan, labeling))
    chunks = [TeachersFkdChunk(context, images, teachers, plan, each) for each in epochs]
    return FkdLabels(context, chunks, _form_of(context, plan), loss)


def fkd_bytes(plan: Plan, image_size: int, num_classes: int, labeling: LabelingConfig) -> int:
    """Exact bytes of the FKD labels for ``plan``: logits, their classes with ``topk``, and the random numbers."""
    return _epochs_stored(plan, labeling) * _form(plan, image_size, num_classes, labeling.topk).bytes_per_epoch


def _labelled(part: Batch, teachers_logits: Callable[[Tensor], Tensor]) -> tuple[Tensor, int]:
    """Logits of this rank's images of ``part``, and the number of its images that all ranks together have labelled."""
    if part.division is None:
        return teachers_logits(part.images), len(part.index)
    with part.division.as_one():
        return teachers_logits(part.images)[: part.division.own], part.division.total


def _of_rows(values: Tensor | None, rows: slice) -> Tensor | None:
    return None if values is None else values[rows]


def _in_order(rows: Tensor, sizes: list[int]) -> Tensor:
    """The rows of all ranks in the order of the parts; ``sizes`` are the numbers of ``rows`` in each part."""
    of_ranks = zip(*ranks.gathered(rows.split(sizes)), strict=True)
    return torch.cat([rows for of_part in of_ranks for rows in of_part])


def _form_of(context: Context, plan: Plan) -> FkdForm:
    return _form(plan, context.data.image_size, context.data.num_classes, context.config.labeling.topk)


def _form(plan: Plan, image_size: int, num_classes: int, topk: int | None) -> FkdForm:
    """Form of the batches that ``plan`` makes."""
    settings = plan.settings
    return FkdForm(
        num_images=plan.num_images,
        image_size=image_size,
        num_classes=num_classes,
        batch_sizes=tuple(plan.batch_sizes),
        mix=Mix.none if plan.mix_alpha is None else Mix.cutmix if plan.cutmix else Mix.mixup,
        crop=settings.crop,
        crop_padding=settings.crop_padding if settings.crop is Crop.padded else 0,
        flip=settings.flip,
        shuffle_patches=settings.shuffle_patches,
        topk=topk,
    )


def _epochs_stored(plan: Plan, labeling: LabelingConfig) -> int:
    """Number of epochs that teachers label, at most that of the students' training."""
    return min(labeling.epochs_stored or plan.epochs, plan.epochs)
