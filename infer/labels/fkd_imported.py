"""FKD labels that were made elsewhere: students see the crops, flips and mixing that are stored beside the logits."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from infer.context import Context
from infer.errors import UsageError
from infer.formats.fkd_order import agrees, of_leading
from infer.labels.base import SoftLabelLoss, artefacts_of
from infer.labels.fkd import LOGITS, FkdLabels, StoredEpochs
from infer.labels.fkd_batches import FkdBatch
from infer.labels.fkd_folders import LabelFolder
from infer.labels.fkd_form import Form, batch_size_words
from infer.labels.fkd_reader import EPOCHS_PER_CHUNK
from infer.methods.base import TrainingSet
from infer.ranges import consecutive
from infer.store import Artefact, Workspace
from infer.store.files import save_tensors
from infer.training.draws import Draws, StoredDraws
from infer.training.plan import Plan

_DRAWS = "draws.safetensors"


class ImportedFkdChunk(StoredEpochs):
    """What a folder of labels says of some of its epochs, with the draws of their batches spelled out."""

    def __init__(self, context: Context, images: TrainingSet, folder: LabelFolder, epochs: range) -> None:
        super().__init__(context, images, epochs)
        self._folder = folder

    @property
    def name(self) -> str:
        return f"{self._images.name}-fkd-e{self.start}-{self.stop - 1}-imported"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {
            "mode": "fkd",
            "epochs": [self.start, self.stop],
            "files": self._folder.digest,
            "images": dict(self._images.student_settings),
        }

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return artefacts_of("images", self._images)

    def make(self, workspace: Workspace) -> dict[str, Any]:
        targets = self._images.targets()
        rows = targets.argsort(stable=True)
        epochs = []
        with self._context.console.progress(f"relabel {self.name}", self.stop - self.start) as ticker:
            for batches in self._folder.epochs(targets[rows], range(self.start, self.stop)):
                if not epochs and (note := _note_of_agreement(self._folder.path, batches, targets[rows])):
                    self._context.console.say(note)
                epochs.append(batches)
                ticker.advance_to(len(epochs))
        form = Form.of((batch for batches in epochs for batch in batches), self._folder.size)
        if form.contradiction:
            raise UsageError(f"{self._folder.path} cannot be trained on: {form.contradiction}")
        save_tensors(workspace.folder / LOGITS, _logits_of(epochs))
        save_tensors(workspace.folder / _DRAWS, _draws_of(epochs, rows))
        return {"epochs": len(epochs), "form": form.facts()}

    def form(self) -> Form:
        """Of all its batches."""
        return Form.from_facts(self._context.obtain(self)["facts"]["form"])

    def draws_file(self) -> str:
        """Where the draws are, as ``StoredDraws`` reads them."""
        return str(self._context.folder(self) / _DRAWS)


class ImportedFkdLabels(FkdLabels):
    """The labels in a folder, for the images of any set that has as many of them.

    Raises UsageError where the protocol asks for other batches than were labelled, with the settings to type.
    """

    def __init__(
        self, context: Context, images: TrainingSet, folder: LabelFolder, plan: Plan, loss: SoftLabelLoss
    ) -> None:
        _check(context, folder, plan)
        epochs = consecutive(_epochs_used(context, folder, plan), EPOCHS_PER_CHUNK)
        chunks = [ImportedFkdChunk(context, images, folder, span) for span in epochs]
        super().__init__(context, plan, chunks, folder.outline.price, loss)
        self._folder = folder

    @property
    def draws(self) -> Draws:
        form = Form.together([chunk.form() for chunk in self.chunks])
        if form.contradiction or form.words_for(self.plan):
            _refuse(self._folder, form, form.words_for(self.plan))
        files = tuple(chunk.draws_file() for chunk in self.chunks)
        return StoredDraws((self._folder.digest,), self.epochs, files, EPOCHS_PER_CHUNK)


def _check(context: Context, folder: LabelFolder, plan: Plan) -> None:
    """Before any work: what the first batch and the number of batches say."""
    outline = folder.outline
    if outline.num_classes != context.data.num_classes:
        raise UsageError(
            f"{folder.path} has logits of {outline.num_classes} classes, and {context.data.name} has "
            f"{context.data.num_classes}"
        )
    words = batch_size_words(outline.batch_sizes, plan)
    if words is None:
        raise UsageError(
            f"{folder.path} labels {sum(outline.batch_sizes)} images per epoch, {outline.batch_sizes[0]} in a batch, "
            f"and the set has {plan.num_images}: they are labels of another set"
        )
    words += outline.form.words_for(plan)
    if words or outline.form.contradiction:
        _refuse(folder, outline.form, words)


def _refuse(folder: LabelFolder, form: Form, words: list[str]) -> None:
    why = form.contradiction or f"they were made of other batches than the protocol's. Type {' '.join(words)}"
    raise UsageError(f"the labels in {folder.path} cannot be trained on like this: {why}")


def _epochs_used(context: Context, folder: LabelFolder, plan: Plan) -> int:
    """Epochs that are read: as many as asked for, or as students are trained for."""
    asked, stored = context.config.labeling.epochs_stored, folder.outline.epochs
    if asked is not None and asked > stored:
        raise UsageError(
            f"labeling.epochs_stored={asked} is not possible: {folder.path} holds {stored} epochs. Type "
            f"labeling.epochs_stored={stored}"
        )
    if asked is None and plan.epochs > stored:
        raise UsageError(
            f"students are trained for {plan.epochs} epochs, and {folder.path} holds {stored}. Type "
            f"labeling.epochs_stored={stored} to show them again and again, or {_length_words(plan, stored)}"
        )
    return min(asked or plan.epochs, plan.epochs)


def _length_words(plan: Plan, epochs: int) -> str:
    return f"evaluate.epochs={epochs}" + ("" if plan.settings.steps is None else " evaluate.steps=null")


def _note_of_agreement(path: Path, batches: Sequence[FkdBatch], targets: Tensor) -> str | None:
    """What a person should know where labels do not peak at the classes of their images, class by class."""
    if batches[0].classes is not None:
        return None
    expected = torch.cat([of_leading(targets[batch.index], batch.partner, batch.weight) for batch in batches])
    logits = torch.cat([batch.logits for batch in batches])
    share = (logits.argmax(dim=1) == expected).float().mean().item()
    if agrees(share, len(expected), logits.shape[1]):
        return None
    return (
        f"{path}: its labels peak at the classes of {100 * share:.1f} % of their images, which chance would do. Are "
        "they labels of these images, and the classes in this order?"
    )


def _logits_of(epochs: Sequence[Sequence[FkdBatch]]) -> dict[str, Tensor]:
    stored = {"logits": _stacked(epochs, "logits")}
    if epochs[0][0].classes is not None:
        stored["classes"] = _stacked(epochs, "classes").int()
    return stored


def _draws_of(epochs: Sequence[Sequence[FkdBatch]], rows: Tensor) -> dict[str, Tensor]:
    """As ``StoredDraws`` reads them; ``rows`` are those of the set, class by class."""
    first = epochs[0][0]
    stored = {
        "order": rows[_stacked(epochs, "index")].int(),
        "crops": _stacked(epochs, "boxes").int(),
        "flip": _stacked(epochs, "flip"),
        "weights": torch.tensor([[batch.weight for batch in batches] for batches in epochs], dtype=torch.float64),
    }
    if first.cut_box is not None:
        stored["boxes"] = torch.tensor([[batch.cut_box for batch in batches] for batches in epochs])
    for name in ("partner", "patch_rows", "patch_columns"):
        if getattr(first, name) is not None:
            stored[name] = _stacked(epochs, name).int()
    return stored


def _stacked(epochs: Sequence[Sequence[FkdBatch]], name: str) -> Tensor:
    """``name`` of every batch: [epochs, shown, ...]."""
    return torch.stack([torch.cat([getattr(batch, name) for batch in batches]) for batches in epochs])
