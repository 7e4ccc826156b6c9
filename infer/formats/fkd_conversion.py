"""Conversion of FKD files to the batches on which students are trained, and back.

FKD files contain crops as fractions of an image's height and width; ``FkdBatch`` contains them in pixels, which depend
on the size of the images.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from infer.config.evaluate import Mix
from infer.config.training import Crop
from infer.distilled.fkd import FkdBatch, FkdForm
from infer.distilled.fkd_folder import OwnLabelFolder
from infer.errors import UsageError
from infer.files import content_digest
from infer.formats.fkd import FkdFolder, LabelledBatch, write_batches
from infer.formats.fkd_order import indexed_batches

_PIXEL_TOLERANCE = 0.01
"""Largest distance in pixels of a stored crop from whole pixels; the rounding error of float32 is less than 0.001."""


class ForeignLabelFolder:
    """Folder of FKD labels that are read as batches for images of ``image_size`` pixels.

    The image of a last batch of one image is repeated, since batch norm cannot use a single image.
    """

    def __init__(self, path: Path, image_size: int) -> None:
        self.path = path
        self._folder = FkdFolder(path)
        self._size = image_size

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of all files."""
        return content_digest(self._folder.files, self.path)

    @property
    def num_epochs(self) -> int:
        """Number of stored epochs."""
        return len(self._folder.batches_per_epoch)

    @cached_property
    def form(self) -> FkdForm:
        """The form of the first epoch. Raises UsageError where batches contradict each other, or are no FKD labels."""
        labelled = list(self._folder.batches(0))
        form = self._form_of(self._epoch(0, labelled), sum(map(len, labelled)))
        if form.crop_padding == 0:
            return form
        reach = max(_reach(batch, self._size) for epoch in range(self.num_epochs) for batch in self._read(epoch))
        return replace(form, crop_padding=reach)  # crops of another epoch may reach further into the border

    def epochs(self, targets: Tensor, epochs: range) -> Iterator[list[FkdBatch]]:
        """The batches of each of ``epochs``. ``targets`` are the classes of the images, sorted by class.

        Raises UsageError where the labels are not those of these images, or epochs differ in their batches.
        """
        for epoch, numbered in groupby(indexed_batches(self._folder, targets, epochs), key=lambda pair: pair[0]):
            batches = self._epoch(epoch, [batch for _, batch in numbered])
            form = self._form_of(batches, len(targets), frozenset([self.form.mix]))
            if form.batch_sizes != self.form.batch_sizes:
                raise UsageError(
                    f"{self.path}: the batch sizes of epoch_{epoch} differ from those of epoch_0: the folder is pruned"
                )
            if form.crop is not self.form.crop or form.crop_padding > self.form.crop_padding:
                raise UsageError(f"{self.path} cannot be trained on: its crops differ in kind from epoch to epoch")
            yield batches

    def _read(self, epoch: int) -> list[FkdBatch]:
        return self._epoch(epoch, list(self._folder.batches(epoch)))

    def _epoch(self, epoch: int, labelled: list[LabelledBatch]) -> list[FkdBatch]:
        """``labelled`` with crops in pixels, as batches for students."""
        batches = [self._converted(epoch, number, batch) for number, batch in enumerate(labelled)]
        if len(batches) > 1 and len(batches[-1].index) == 1 < len(batches[0].index):
            batches[-1] = _twice(batches[-1])
        return batches

    def _converted(self, epoch: int, number: int, batch: LabelledBatch) -> FkdBatch:
        """``batch`` with crops in pixels. Raises UsageError where it does not fit images of this size."""
        if wrong := _shape_error(batch, self._size):
            raise UsageError(f"{self._folder.file(epoch, number)} {wrong}")
        return FkdBatch(
            index=torch.zeros(len(batch), dtype=torch.int64) if batch.index is None else batch.index,
            crops=(batch.coords.double() * self._size).round().long(),
            flip=batch.flip,
            patch_rows=None,  # the published code stores an order of patches but does not move them
            patch_columns=None,
            partner=batch.partner,
            weight=1.0 if batch.weight is None else batch.weight,
            cut_box=None if batch.box is None else (batch.box[0], batch.box[1], batch.box[2], batch.box[3]),
            logits=batch.logits,
            classes=None,
        )

    def _form_of(self, batches: list[FkdBatch], num_images: int, mixes: frozenset[Mix] = frozenset()) -> FkdForm:
        """The common form of all ``batches`` of an epoch.

        Raises UsageError where they differ, are mixed in another way than ``mixes``, or do not fit any protocol.
        """
        mixes |= {batch.mix for batch in batches}
        enlarged = any((batch.crops[:, 2:] < self._size).any() for batch in batches)
        reach = max(_reach(batch, self._size) for batch in batches)
        if len(mixes) > 1:
            told = " and ".join(sorted(mix.value for mix in mixes))
            raise UsageError(f"{self.path} cannot be trained on: its batches are mixed in different ways ({told})")
        if enlarged and reach:
            raise UsageError(
                f"{self.path} cannot be trained on: its crops are enlarged, and some reach {reach} pixels over the "
                "edge of the image"
            )
        return FkdForm(
            num_images=num_images,
            image_size=self._size,
            num_classes=batches[0].logits.shape[1],
            batch_sizes=tuple(len(batch.index) for batch in batches),
            mix=next(iter(mixes)),
            crop=Crop.resized if enlarged else Crop.padded,
            crop_padding=reach,
            flip=any(bool(batch.flip.any()) for batch in batches),
            logits=str(batches[0].logits.dtype).removeprefix("torch."),
        )


def export_fkd(source: Path, folder: Path) -> int:
    """Write the labels that are stored with the set in the ``infer`` folder ``source``, and return the number of files.

    Crops of images with a black border (``evaluate.crop=padded``) have coordinates outside the image; Pillow, with
    which readers of FKD crop, adds black there. Raises UsageError where the folder has no such labels, or they cannot
    be represented in FKD files.
    """
    labels = OwnLabelFolder(source)
    form = labels.form
    if form.topk is not None or form.shuffle_patches > 1:
        what = "shuffled patches" if form.shuffle_patches > 1 else "pruned logits"
        raise UsageError(
            f"{source} has {what}, which FKD files have no place for. Export a run with labeling.topk=null and "
            "evaluate.shuffle_patches=1"
        )
    epochs = labels.class_by_class(range(labels.num_epochs))
    return write_batches(folder, ([_labelled(batch, form.image_size) for batch in batches] for batches in epochs))


def _labelled(batch: FkdBatch, image_size: int) -> LabelledBatch:
    return LabelledBatch(
        coords=batch.crops.float() / image_size,
        flip=batch.flip,
        partner=batch.partner,
        weight=None if batch.partner is None else batch.weight,
        box=batch.cut_box,
        logits=batch.logits,
        index=batch.index,
    )


def _shape_error(batch: LabelledBatch, size: int) -> str | None:
    """Description of the fault in ``batch`` for images of ``size`` pixels; None where there is none."""
    count = len(batch)
    if batch.coords.shape != (count, 4) or batch.flip.shape != (count,) or batch.logits.dim() != 2:
        shapes = [list(tensor.shape) for tensor in (batch.coords, batch.flip, batch.logits)]
        return f"has crops, flips and logits of shapes {shapes}, not [B, 4], [B] and [B, C]"
    pixels = batch.coords.double() * size
    missed = (pixels - pixels.round()).abs().max().item()
    if missed > _PIXEL_TOLERANCE or pixels[:, 2:].min() < 0.5:
        return (
            f"has crops that miss the pixels of {size}x{size} images by up to {missed:.2f}: it was made with images of "
            "another size"
        )
    if batch.box is not None and not _lies_inside(batch.box, size):
        return f"has a CutMix box {list(batch.box)} that does not fit images of {size}x{size}"
    return None if batch.logits.isfinite().all() else "has logits that are not finite"


def _lies_inside(box: tuple[int, ...], size: int) -> bool:
    return len(box) == 4 and 0 <= box[0] <= box[2] <= size and 0 <= box[1] <= box[3] <= size


def _reach(batch: FkdBatch, size: int) -> int:
    """Largest number of pixels by which crops extend beyond the edges of the image."""
    top, left, height, width = batch.crops.unbind(dim=1)
    edges = (-top, -left, top + height - size, left + width - size)
    return max(0, *(int(edge.max()) for edge in edges))


def _twice(batch: FkdBatch) -> FkdBatch:
    """``batch`` of one image, with the image and its label repeated once."""
    doubled: dict[str, Any] = {
        name: value.repeat(2, *[1] * (value.dim() - 1)) for name, value in vars(batch).items() if torch.is_tensor(value)
    }
    return replace(batch, **doubled)
