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
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from infer.config import Stage
from infer.context import Context
from infer.distilled.fkd import FkdBatch, FkdForm
from infer.distilled.fkd_files import EPOCHS_PER_FILE, LogitsReader, write_epochs
from infer.labels.base import Labels, SoftLabelLoss
from infer.methods.sets.base import TrainingSet
from infer.normalisation import Normalisation
from infer.ranges import consecutive
from infer.store import Artefact, Workspace
from infer.training.batches import Batch
from infer.training.draws import Draws, StoredDraws
from infer.training.objectives import Objective


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


def dense_logits(logits: Tensor, classes: Tensor | None, num_classes: int) -> Tensor:
    """Float32 logits of all classes [B, C]: -inf, which softmax makes zero, where none was stored."""
    if classes is None:
        return logits.float()
    dense = torch.full((len(logits), num_classes), -torch.inf, device=logits.device)
    return dense.scatter_(1, classes.long(), logits.float())


def in_chunks(num_epochs: int) -> list[range]:
    """``num_epochs`` in consecutive chunks."""
    return consecutive(num_epochs, EPOCHS_PER_FILE)


def _link_or_copy(source: Path, to: Path) -> None:
    """``source`` under another name: large files are not doubled where the file system can link them."""
    with contextlib.suppress(OSError):
        os.link(source, to)
        return
    shutil.copyfile(source, to)
