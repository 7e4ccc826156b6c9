"""FKD labels that were made elsewhere, in a folder of another tool's files or of this package's format.

The batches are stored with the settings that they were made with, which replace those of the protocol.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from infer.config.evaluate import EvaluateConfig
from infer.config.training import Crop
from infer.context import Context
from infer.distilled.fkd import FkdBatch, FkdForm
from infer.distilled.fkd_folder import OwnLabelFolder
from infer.distilled.manifest import infer_folder
from infer.errors import UsageError
from infer.formats.fkd_conversion import ForeignLabelFolder
from infer.formats.fkd_order import agrees, of_leading
from infer.labels.base import SoftLabelLoss, artefacts_of
from infer.labels.fkd import FkdChunk, FkdLabels, in_chunks
from infer.methods.sets.base import TrainingSet
from infer.store import Artefact
from infer.training.plan import Plan


class LabelFolder(Protocol):
    """A folder of FKD labels that were made elsewhere."""

    path: Path

    @property
    def digest(self) -> str:
        """Hex SHA-256 of everything that the labels depend on."""

    @property
    def num_epochs(self) -> int:
        """Number of epochs stored."""

    @property
    def form(self) -> FkdForm:
        """Form of the batches."""

    def epochs(self, targets: Tensor, epochs: range) -> Iterator[list[FkdBatch]]:
        """The batches of each of ``epochs``. ``targets`` are the classes of the images, in ascending order.

        Raises UsageError where the labels do not belong to these images, or the batches of epochs differ in size.
        """


class ImportedFkdChunk(FkdChunk):
    """Batches from a folder of labels, for any set with as many images as they are made for."""

    def __init__(self, context: Context, images: TrainingSet, folder: LabelFolder, epochs: range) -> None:
        super().__init__(context, images, folder.form, epochs)
        self._folder = folder

    @property
    def name(self) -> str:
        return f"{self._images.name}-fkd-e{self.epochs.start}-{self.epochs[-1]}-imported"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {
            "mode": "fkd",
            "epochs": [self.epochs.start, self.epochs.stop],
            "files": self._folder.digest,
            "images": dict(self._images.student_settings),
        }

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return artefacts_of("images", self._images)

    def labelled_epochs(self, on_images: Callable[[int], None]) -> Iterator[list[FkdBatch]]:
        targets = self._images.targets()
        rows = targets.argsort(stable=True)
        for epoch, batches in zip(self.epochs, self._folder.epochs(targets[rows], self.epochs), strict=True):
            if epoch == self.epochs.start and (note := _note_of_agreement(self._folder.path, batches, targets[rows])):
                self._context.console.say(note)
            yield [replace(batch, index=rows[batch.index]) for batch in batches]
            on_images((epoch + 1 - self.epochs.start) * len(rows))


def imported_labels(
    context: Context,
    images: TrainingSet,
    folder: LabelFolder,
    plan: Plan,
    loss: SoftLabelLoss,
    overrides: Mapping[str, Any],
) -> FkdLabels:
    """The labels in ``folder``, for students with ``plan``, which includes ``overrides`` (``settings_overridden``)."""
    epochs = in_chunks(_epochs_used(context, folder, plan))
    chunks = [ImportedFkdChunk(context, images, folder, each) for each in epochs]
    return FkdLabels(context, chunks, folder.form, loss, overrides)


def open_labels(path: Path, image_size: int) -> LabelFolder:
    """The labels in the folder ``path``, for images of ``image_size`` pixels."""
    folder = infer_folder(path)
    if folder is None:
        return ForeignLabelFolder(path, image_size)
    labels = OwnLabelFolder(folder)
    if labels.form.image_size != image_size:
        raise UsageError(
            f"{folder} labels images of {labels.form.image_size} pixels, and these have {image_size}: the labels are "
            "of other images"
        )
    return labels


def settings_overridden(
    context: Context, folder: LabelFolder, protocol: EvaluateConfig, num_images: int
) -> dict[str, Any]:
    """Settings with which the labels in ``folder`` were made, as far as they differ from those of ``protocol``.

    Raises UsageError where the labels have another number of classes, or are not made for ``num_images`` images.
    """
    form = folder.form
    if form.num_classes != context.data.num_classes:
        raise UsageError(
            f"{folder.path} has logits of {form.num_classes} classes, and {context.data.name} has "
            f"{context.data.num_classes}"
        )
    sizes = _batch_settings(form, protocol, num_images)
    if sizes is None:
        raise UsageError(
            f"{folder.path} labels {form.images_per_epoch} images per epoch, {form.batch_sizes[0]} in a batch, and the "
            f"set has {num_images}: they are labels of another set"
        )
    padding = max(form.crop_padding, protocol.crop_padding)  # stored crops do not reach into a wider border
    made_with = {
        **sizes,
        "mix": form.mix,
        "crop": form.crop,
        "crop_padding": padding if form.crop is Crop.padded else protocol.crop_padding,
        "flip": form.flip,
        "shuffle_patches": form.shuffle_patches,
    }
    return {name: value for name, value in made_with.items() if getattr(protocol, name) != value}


def _batch_settings(form: FkdForm, protocol: EvaluateConfig, num_images: int) -> dict[str, Any] | None:
    """Settings under which batches have the sizes in ``form``; None where there are none."""
    even = protocol.even_batches
    own: dict[str, Any] = {"batch_size": protocol.batch_size, "even_batches": even}
    stored = [{"batch_size": form.batch_sizes[0], "even_batches": either} for either in (even, not even)]
    for settings in (own, *stored):
        plan = Plan(replace(protocol, accumulate=1, **settings), num_images)
        if plan.batch_sizes == list(form.batch_sizes):
            return settings
    return None


def _epochs_used(context: Context, folder: LabelFolder, plan: Plan) -> int:
    """Number of epochs of ``folder`` that are used: ``labeling.epochs_stored``, or that of the students' training."""
    asked, stored = context.config.labeling.epochs_stored, folder.num_epochs
    if asked is not None and asked > stored:
        raise UsageError(
            f"labeling.epochs_stored={asked} is not possible: {folder.path} holds {stored} epochs. Type "
            f"labeling.epochs_stored={stored}"
        )
    if asked is None and plan.epochs > stored:
        in_steps = "" if plan.settings.steps is None else " evaluate.steps=null"
        raise UsageError(
            f"students are trained for {plan.epochs} epochs, and {folder.path} holds {stored}. Type "
            f"labeling.epochs_stored={stored} to repeat them, or evaluate.epochs={stored}{in_steps}"
        )
    return min(asked or plan.epochs, plan.epochs)


def _note_of_agreement(path: Path, batches: Sequence[FkdBatch], targets: Tensor) -> str | None:
    """Note for the user where the largest logits do not agree with the classes of the images; None where they do."""
    if batches[0].classes is not None:
        return None
    expected = torch.cat([of_leading(targets[batch.index], batch.partner, batch.weight) for batch in batches])
    logits = torch.cat([batch.logits for batch in batches])
    share = (logits.argmax(dim=1) == expected).float().mean().item()
    if agrees(share, len(expected), logits.shape[1]):
        return None
    return (
        f"{path}: its labels peak at the classes of {100 * share:.1f} % of their images, no better than chance. Are "
        "they labels of these images, and are the classes in this order?"
    )
