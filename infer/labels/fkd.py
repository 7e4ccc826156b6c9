"""FKD labels: dynamic labels stored ahead (Shen and Xing, 2022), by the run's teachers or by somebody else.

For every stored epoch there are the crops, flips and mixing of each batch and the teachers' logits on it. So all
students of a set, of whatever architecture, see the same batches in the same order; repeats differ in their first
weights (and dropout) alone, and their spread is smaller than that of dynamic labels for that reason.
"""

import contextlib
import os
import shutil
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from infer.config import Stage
from infer.config.evaluate import Mix, TeacherBn
from infer.config.labeling import LabelingConfig
from infer.config.training import Crop
from infer.context import Context
from infer.distilled.fkd import EPOCHS_PER_FILE, FkdBatch, FkdForm, LogitsReader, write_epochs
from infer.errors import UsageError
from infer.labels.base import Labels, SoftLabelLoss, artefacts_of
from infer.labels.ensemble import Ensemble
from infer.methods.sets.base import TrainingSet
from infer.normalisation import Normalisation
from infer.ranges import consecutive
from infer.ranks import ranks
from infer.store import Artefact, Sharing, Workspace
from infer.teachers.teacher import Teacher
from infer.training.batches import Batch, BatchSource
from infer.training.draws import Draws, EpochDraws, StoredDraws
from infer.training.objectives import Objective
from infer.training.plan import Plan
from infer.work import Work


class FkdChunk(Artefact):
    """The batches of ten consecutive epochs, or of those that are left, with their logits."""

    kind = "labels"
    stage = Stage.relabel
    version = 2

    def __init__(self, context: Context, images: TrainingSet, form: FkdForm, epochs: range) -> None:
        self._context = context
        self._images = images
        self._form = form
        self.epochs = epochs

    @abstractmethod
    def labelled_epochs(self, on_images: Callable[[int], None]) -> Iterator[list[FkdBatch]]:
        """The batches of one epoch after the other, with the images counted as in the set.

        ``on_images`` is told how many images are labelled so far.
        """

    @property
    def expected_bytes(self) -> int:
        return len(self.epochs) * self._form.bytes_per_epoch

    def make(self, workspace: Workspace) -> dict[str, Any]:
        images = self._images_shown
        with self._context.meter(self, f"relabel {self.name}", images) as meter:
            labelled = list(self.labelled_epochs(meter.advance_to))
        write_epochs(workspace.folder, self.epochs.start, self._form, labelled)
        return {"epochs": len(self.epochs), "images_per_epoch": self._form.images_per_epoch}

    @property
    def _images_shown(self) -> int:
        return len(self.epochs) * self._form.images_per_epoch


class TeachersFkdChunk(FkdChunk):
    """Batches that are drawn from the run's seed, labelled by its teachers."""

    sharing = Sharing.together

    def __init__(
        self, context: Context, images: TrainingSet, teachers: list[Teacher], plan: Plan, epochs: range
    ) -> None:
        super().__init__(context, images, _form_of(context, plan), epochs)
        self._teachers = teachers
        self._ensemble = Ensemble(context, teachers)
        self._plan = replace(plan, steps=epochs.stop * plan.steps_per_epoch)  # no epoch ends early

    @property
    def name(self) -> str:
        return f"{self._images.name}-fkd-e{self.epochs.start}-{self.epochs[-1]}-by-{len(self._teachers)}"

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
        return {f"teacher/{n}": teacher for n, teacher in enumerate(self._teachers)} | artefacts_of(
            "images", self._images
        )

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
                if part.division is None:
                    labelled.append(teachers_logits(part.images))
                    done += len(part.index)
                else:
                    with part.division.as_one():
                        labelled.append(teachers_logits(part.images)[: part.division.own])
                    done += part.division.total
                on_images(done)
            values, classes = self._pruned(torch.cat(labelled))
            if ranks.count > 1:
                sizes = [len(part) for part in labelled]
                values, classes = _in_order(values, sizes), None if classes is None else _in_order(classes, sizes)
            size = self._context.data.image_size
            yield self._batches(draws.of(self._plan, epoch, (size, size)), values, classes)

    def _pruned(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        """``logits`` as they are stored, and their classes."""
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
                patch_rows=None if drawn.patch_rows is None else drawn.patch_rows[rows],
                patch_columns=None if drawn.patch_columns is None else drawn.patch_columns[rows],
                partner=None if drawn.partner is None else drawn.partner[rows],
                weight=drawn.weights[number],
                cut_box=None if drawn.boxes is None else drawn.boxes[number],
                logits=logits[rows],
                classes=None if classes is None else classes[rows],
            )
            for number, rows in enumerate(self._plan.batches)
        ]


class FkdLabels(Labels):
    """Stored batches that students are trained on, whoever made them."""

    mode = "fkd"

    def __init__(
        self,
        context: Context,
        chunks: Sequence[FkdChunk],
        form: FkdForm,
        loss: SoftLabelLoss,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        self.chunks = chunks
        self.form = form
        self.num_epochs = chunks[-1].epochs.stop
        self.label_bytes = self.num_epochs * form.bytes_per_epoch
        self.overrides: Mapping[str, Any] = overrides or {}
        self._context = context
        self._loss = loss

    @property
    def folders(self) -> list[Path]:
        """Folder of the files of each chunk."""
        return [self._context.folder(chunk) for chunk in self.chunks]

    @property
    def draws(self) -> Draws:
        """The stored batches; those of the first epoch follow those of the last."""
        return StoredDraws((self._context.config.seed, "fkd"), self.num_epochs, tuple(map(str, self.folders)))

    @property
    def student_settings(self) -> Mapping[str, Any]:
        return {"labels": "fkd", **self._loss.settings, "epochs_stored": self.num_epochs}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {f"epochs/{chunk.epochs.start}": chunk for chunk in self.chunks}

    def objective(self, device: torch.device, normalisation: Normalisation) -> Objective:
        reader = LogitsReader(self.folders, device)

        def objective(student: Tensor, batch: Batch) -> Tensor:
            rows = slice(batch.first, batch.first + len(batch.index))
            return self._loss(student, dense_logits(*reader.rows(batch.epoch, rows), self.form.num_classes))

        return objective

    def write_into(self, folder: Path) -> dict[str, Any]:
        """Put the files into ``folder``; gives what its manifest says of them."""
        for chunk in self.chunks:
            for name in self._context.obtain(chunk)["files"]:
                _link_or_copy(self._context.folder(chunk) / name, folder / name)
        return {"mode": self.mode, "epochs": self.num_epochs, "form": self.form.facts()}


def _in_order(rows: Tensor, sizes: list[int]) -> Tensor:
    """The rows of all ranks, each of which has ``sizes`` rows of one part after the other."""
    of_ranks = zip(*ranks.gathered(rows.split(sizes)), strict=True)
    return torch.cat([rows for of_part in of_ranks for rows in of_part])


def teachers_labels(
    context: Context, images: TrainingSet, teachers: list[Teacher], plan: Plan, loss: SoftLabelLoss
) -> FkdLabels:
    """The labels that the run's teachers make."""
    labeling, num_classes = context.config.labeling, context.data.num_classes
    if labeling.topk is not None and labeling.topk > num_classes:
        raise UsageError(
            f"labeling.topk={labeling.topk} is not possible: {context.data.name} has {num_classes} classes"
        )
    epochs = in_chunks(_epochs_stored(plan, labeling))
    chunks = [TeachersFkdChunk(context, images, teachers, plan, each) for each in epochs]
    return FkdLabels(context, chunks, _form_of(context, plan), loss)


def fkd_bytes(plan: Plan, image_size: int, num_classes: int, labeling: LabelingConfig) -> int:
    """Exact bytes of the labels that teachers make for ``plan``: logits, their classes where they are pruned, draws."""
    return _epochs_stored(plan, labeling) * _form(plan, image_size, num_classes, labeling.topk).bytes_per_epoch


def dense_logits(logits: Tensor, classes: Tensor | None, num_classes: int) -> Tensor:
    """Float32 logits of all classes [B, C]: -inf, which softmax makes zero, where none was stored."""
    if classes is None:
        return logits.float()
    dense = torch.full((len(logits), num_classes), -torch.inf, device=logits.device)
    return dense.scatter_(1, classes.long(), logits.float())


def _form_of(context: Context, plan: Plan) -> FkdForm:
    return _form(plan, context.data.image_size, context.data.num_classes, context.config.labeling.topk)


def _form(plan: Plan, image_size: int, num_classes: int, topk: int | None) -> FkdForm:
    """The form of the batches that ``plan`` makes."""
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


def in_chunks(num_epochs: int) -> list[range]:
    """``num_epochs`` in consecutive chunks."""
    return consecutive(num_epochs, EPOCHS_PER_FILE)


def _epochs_stored(plan: Plan, labeling: LabelingConfig) -> int:
    """Epochs that teachers label: no more than students are trained for."""
    return min(labeling.epochs_stored or plan.epochs, plan.epochs)


def _link_or_copy(source: Path, to: Path) -> None:
    """``source`` under another name: large files are not doubled where the file system can link them."""
    with contextlib.suppress(OSError):
        os.link(source, to)
        return
    shutil.copyfile(source, to)
