"""Folders of FKD labels that were made elsewhere, read as batches: other tools' files, or a folder of this program.

Images are counted class by class, in the order in which trees of images are read, whatever order a folder counts in.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path

import torch
from torch import Tensor

from infer.errors import UsageError
from infer.formats.contents import content_digest
from infer.formats.fkd import FkdFolder, LabelledBatch
from infer.formats.fkd_order import indexed_batches
from infer.formats.folder import infer_folder
from infer.labels.fkd import Price
from infer.labels.fkd_batches import FkdBatch
from infer.labels.fkd_form import Form
from infer.labels.fkd_own import OwnLabels

_PIXEL_TOLERANCE = 0.01
"""Pixels by which a stored crop may miss whole ones: float32 shares of an image miss them by less than a thousandth."""


@dataclass(frozen=True)
class Outline:
    """What is known of a folder of labels before all of it is read."""

    epochs: int
    batch_sizes: list[int]
    """Of one epoch, as students see them."""
    num_classes: int
    price: Price
    form: Form
    """Of the first batch."""


class LabelFolder(ABC):
    """A folder of labels for images of one size."""

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        self.path = path
        self.size = size

    @cached_property
    @abstractmethod
    def digest(self) -> str:
        """Hex SHA-256 of everything in it."""

    @cached_property
    @abstractmethod
    def outline(self) -> Outline:
        """What its first epoch says. Raises UsageError where it is no folder of labels."""

    @abstractmethod
    def epochs(self, targets: Tensor, span: range) -> Iterator[list[FkdBatch]]:
        """The batches of each epoch in ``span``. ``targets`` are the images' classes, class by class.

        Raises UsageError where the labels are not those of these images, or epochs differ in their batches.
        """


def open_labels(path: Path, size: tuple[int, int]) -> LabelFolder:
    """The labels in the folder ``path``, for images of ``size`` (H, W)."""
    folder = infer_folder(path)
    return ForeignLabelFolder(path, size) if folder is None else OwnLabelFolder(folder, size)


class ForeignLabelFolder(LabelFolder):
    """``epoch_{e}/batch_{b}.tar``. A last batch of one image is shown as two, since batch norm cannot use it alone."""

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        super().__init__(path, size)
        self._folder = FkdFolder(path)

    @cached_property
    def digest(self) -> str:
        return content_digest(self._folder.files, self.path)

    @cached_property
    def outline(self) -> Outline:
        counts = self._folder.batches_per_epoch
        first, last = (self._folder.batch(0, number) for number in (0, counts[0] - 1))
        sizes = [len(first)] * (counts[0] - 1) + [len(last)]
        return Outline(
            epochs=len(counts),
            batch_sizes=[*sizes[:-1], 2 if _stands_alone(sizes) else sizes[-1]],
            num_classes=first.logits.shape[1],
            price=Price((counts[0] - 1) * first.payload_bytes + last.payload_bytes, 0),
            form=Form.of([self._converted(0, 0, replace(first, index=torch.zeros(len(first))))], self.size),
        )

    def epochs(self, targets: Tensor, span: range) -> Iterator[list[FkdBatch]]:
        for epoch, numbered in groupby(indexed_batches(self._folder, targets, span), key=lambda pair: pair[0]):
            batches = [self._converted(epoch, number, batch) for number, (_, batch) in enumerate(numbered)]
            if _stands_alone([len(batch.index) for batch in batches]):
                batches[-1] = _twice(batches[-1])
            sizes = [len(batch.index) for batch in batches]
            if sizes != self.outline.batch_sizes:
                raise UsageError(
                    f"{self.path}: epoch_{epoch} has other sizes of batches than epoch_0: it is a pruned one"
                )
            yield batches

    def _converted(self, epoch: int, number: int, batch: LabelledBatch) -> FkdBatch:
        """``batch`` in pixels of the images. Raises UsageError where it does not fit images of this size."""
        if wrong := _shape_error(batch, self.size):
            raise UsageError(f"{self.path}/epoch_{epoch}/batch_{number}.tar {wrong}")
        return FkdBatch(
            epoch=epoch,
            number=number,
            index=batch.index,
            boxes=(batch.coords.double() * _lengths(self.size)).round().long(),
            flip=batch.flip,
            patch_rows=None,  # the published code stores an order of patches and leaves them where they are
            patch_columns=None,
            partner=batch.partner,
            weight=1.0 if batch.weight is None else batch.weight,
            cut_box=batch.box,
            logits=batch.logits,
            classes=None,
        )


class OwnLabelFolder(LabelFolder):
    """A folder of the ``infer`` format that holds the labels of a run."""

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        super().__init__(path, size)
        self._labels = OwnLabels(path)
        if self._labels.image_size != size:
            raise UsageError(
                f"{path} labels images of {self._labels.image_size[0]} pixels, and these have {size[0]}: the labels "
                "are of other images"
            )

    @cached_property
    def digest(self) -> str:
        return self._labels.digest

    @cached_property
    def outline(self) -> Outline:
        labels = self._labels
        return Outline(
            epochs=labels.epochs,
            batch_sizes=labels.plan.batch_sizes,
            num_classes=labels.num_classes,
            price=labels.price,
            form=Form.of([next(labels.batches(range(1)))], self.size),
        )

    def epochs(self, targets: Tensor, span: range) -> Iterator[list[FkdBatch]]:
        if not torch.equal(self._labels.targets.sort().values, targets):
            raise UsageError(f"{self.path} labels images of other classes than this set has: it is of another set")
        for _, batches in groupby(self._labels.batches(span), key=lambda batch: batch.epoch):
            yield [replace(batch, index=self._labels.place[batch.index]) for batch in batches]


def _lengths(size: tuple[int, int]) -> Tensor:
    """What top, left, height and width are shares of."""
    return torch.tensor([*size, *size], dtype=torch.float64)


def _shape_error(batch: LabelledBatch, size: tuple[int, int]) -> str | None:
    """What is wrong with ``batch`` as one of images of ``size``; None where nothing is."""
    count = len(batch)
    if batch.coords.shape != (count, 4) or batch.flip.shape != (count,) or batch.logits.dim() != 2:
        shapes = [list(tensor.shape) for tensor in (batch.coords, batch.flip, batch.logits)]
        return f"has crops, flips and logits of shapes {shapes}, not [B, 4], [B] and [B, C]"
    pixels = batch.coords.double() * _lengths(size)
    missed = (pixels - pixels.round()).abs().max().item()
    if missed > _PIXEL_TOLERANCE or pixels[:, 2:].min() < 0.5:
        return (
            f"has crops that miss the pixels of {size[0]}x{size[1]} images by up to {missed:.2f}: it was made with "
            "images of another size"
        )
    if batch.box is not None and not _lies_inside(batch.box, size):
        return f"has a CutMix box {list(batch.box)} that is none in images of {size[0]}x{size[1]}"
    return None if batch.logits.isfinite().all() else "has logits that are not finite"


def _lies_inside(box: tuple[int, ...], size: tuple[int, int]) -> bool:
    return len(box) == 4 and 0 <= box[0] <= box[2] <= size[0] and 0 <= box[1] <= box[3] <= size[1]


def _stands_alone(sizes: list[int]) -> bool:
    """Whether the last of several batches is a single image."""
    return sizes[-1] == 1 and any(size > 1 for size, _ in pairwise(sizes))


def _twice(batch: FkdBatch) -> FkdBatch:
    """The one image of ``batch`` and its label two times."""
    doubled = {
        name: value.repeat(2, *[1] * (value.dim() - 1)) for name, value in vars(batch).items() if torch.is_tensor(value)
    }
    return replace(batch, **doubled)
