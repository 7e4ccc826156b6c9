"""FKD label folders (SRe2L, CDA, G-VBSM, EDC, CV-DD, LPLD): one file per batch, ``epoch_{e}/batch_{b}.tar``.

A file is a list written by ``torch.save``, whatever its name says: ``[coords, flip, mix_index, mix_lam, mix_bbox,
logits]``, in G-VBSM's form followed by the images' indices, in EDC's by these and the order of the patches. The logits
are those of the batch as it was mixed. Files without indices mean the order of a sampler that has to be replayed
(``infer.formats.fkd_order``); those that are written here have them. Images are counted class by class, in the order in
which trees of images are read and written.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from infer.config.evaluate import Mix
from infer.config.training import Crop
from infer.distilled.fkd import FkdBatch, FkdForm, OwnLabelFolder
from infer.errors import UsageError
from infer.files import content_digest, replaced_whole
from infer.formats.fkd_order import indexed_batches
from infer.formats.foreign_set import require_finite
from infer.torch_load import load_foreign, require_plain

_EPOCH, _BATCH = re.compile(r"epoch_(\d+)"), re.compile(r"batch_(\d+)\.tar")
_ITEMS = (6, 7, 8)
_PIXEL_TOLERANCE = 0.01
"""Pixels by which a stored crop may miss whole ones: float32 shares of an image miss them by less than a thousandth."""


@dataclass(frozen=True, eq=False)
class LabelledBatch:
    """The content of one ``batch_{b}.tar``."""

    coords: Tensor
    """float32 [B, 4]: top, left, height and width of the crop, as shares of the image's height and width."""
    flip: Tensor
    """bool [B]: whether the crop is mirrored left to right."""
    partner: Tensor | None
    """int64 [B]: position within the batch of the image mixed in; None without mixing."""
    weight: float | None
    """Share of the image itself, as drawn; CutMix's is not corrected to the area of the box. None without mixing."""
    box: tuple[int, ...] | None
    """First row, first column, end row and end column of what CutMix takes from the partner; None otherwise."""
    logits: Tensor
    """float16 or float32 [B, C], before the softmax, of the batch as it was mixed."""
    index: Tensor | None = None
    """int64 [B]: rows of the set, in the order of ImageFolder; None where the file does not say."""
    patch_order: Tensor | None = None
    """int64 [B, 2, 2], an order of patches that EDC stores; None elsewhere. EDC's code joins the patches in their old
    order all the same (relabel/utils_fkd.py, ``shuffle_weight``), so what was labelled is unshuffled."""

    def __len__(self) -> int:
        return len(self.logits)


@dataclass(frozen=True)
class FkdFolder:
    """The files of a folder of FKD labels; they are read when they are asked for."""

    path: Path

    @cached_property
    def batches_per_epoch(self) -> list[int]:
        """Number of files of each epoch. Raises UsageError where an epoch or a batch is missing."""
        epochs = _numbered(self.path, _EPOCH, "epoch_0/batch_0.tar")
        return [len(_numbered(epoch, _BATCH, "batch_0.tar")) for epoch in epochs]

    @property
    def files(self) -> list[Path]:
        """All files, epoch by epoch. Raises UsageError as ``batches_per_epoch``."""
        return [self.file(e, b) for e, count in enumerate(self.batches_per_epoch) for b in range(count)]

    def file(self, epoch: int, number: int) -> Path:
        """File of one batch."""
        return self.path / f"epoch_{epoch}" / f"batch_{number}.tar"

    def batch(self, epoch: int, number: int) -> LabelledBatch:
        """One file as it is. Raises UsageError where it is damaged, needs code or is of another format."""
        return read_batch(self.file(epoch, number))

    def batches(self, epoch: int) -> Iterator[LabelledBatch]:
        """All files of ``epoch`` as they are. Raises UsageError as ``batch``."""
        return (self.batch(epoch, number) for number in range(self.batches_per_epoch[epoch]))


def read_batch(file: Path) -> LabelledBatch:
    """The content of one ``batch_{b}.tar`` with 6, 7 or 8 items."""
    items = load_foreign(file)
    if not isinstance(items, list | tuple) or len(items) not in _ITEMS or not isinstance(items[5], Tensor):
        raise UsageError(
            f"{file} is no batch of FKD labels: [coords, flip, mix_index, mix_lam, mix_bbox, logits], with indices and "
            "the patches' order at most"
        )
    try:
        batch = _as_batch(items, file)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:  # text, inf, lists of several lengths
        raise UsageError(f"{file} holds crops, flips, partners or boxes that are no numbers ({error})") from None
    per_image = (batch.coords, batch.flip, batch.partner, batch.index, batch.patch_order)
    if any(tensor is not None and tensor.shape[:1] != batch.logits.shape[:1] for tensor in per_image):
        raise UsageError(f"{file} has logits {list(batch.logits.shape)}, and other numbers of crops, flips or partners")
    require_finite(batch.coords, "crop", file)
    if batch.weight is not None and not math.isfinite(batch.weight):
        raise UsageError(f"{file} mixes images with the weight {batch.weight}. Make it again")
    if batch.partner is not None and not ((batch.partner >= 0) & (batch.partner < len(batch))).all():
        raise UsageError(f"{file} mixes images with such as its {len(batch)} are not")
    return batch


def _as_batch(items: Sequence[Any], file: Path) -> LabelledBatch:
    """The items of ``file`` in their types."""

    def tensor(value: Any) -> Tensor:
        return require_plain(
            value if isinstance(value, Tensor) else torch.as_tensor(value), "one of its items is", file
        )

    coords, flip, partner, weight, box, logits, *more = items
    return LabelledBatch(
        coords=tensor(coords).float(),
        flip=tensor(flip).bool(),
        partner=None if partner is None else tensor(partner).long(),
        weight=None if weight is None else float(weight),
        box=None if box is None else tuple(int(edge) for edge in box),
        logits=tensor(logits),
        index=tensor(more[0]).long() if more else None,
        patch_order=tensor(more[1]) if len(more) > 1 else None,
    )


def write_batches(folder: Path, epochs: Iterable[Iterable[LabelledBatch]]) -> int:
    """Write ``epoch_{e}/batch_{b}.tar`` for every batch, and give how many. What a batch has not is left out."""
    written = 0
    for epoch, batches in enumerate(epochs):
        for number, batch in enumerate(batches):
            box = None if batch.box is None else list(batch.box)  # Python's numbers: numpy's would need code to be read
            items: list[Any] = [batch.coords, batch.flip, batch.partner, batch.weight, box, batch.logits]
            items += [item for item in (batch.index, batch.patch_order) if item is not None]
            with replaced_whole(FkdFolder(folder).file(epoch, number)) as file:
                torch.save([item.clone() if isinstance(item, Tensor) else item for item in items], file)
            written += 1
    return written


class ForeignLabelFolder:
    """A folder of FKD labels, read as batches for images of ``image_size`` pixels.

    A last batch of one image is shown as two, since batch norm cannot use it alone.
    """

    def __init__(self, path: Path, image_size: int) -> None:
        self.path = path
        self._folder = FkdFolder(path)
        self._size = image_size

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of every file."""
        return content_digest(self._folder.files, self.path)

    @property
    def num_epochs(self) -> int:
        """Epochs stored."""
        return len(self._folder.batches_per_epoch)

    @cached_property
    def form(self) -> FkdForm:
        """The form of the first epoch. Raises UsageError where it contradicts itself, or holds no FKD labels."""
        labelled = list(self._folder.batches(0))
        form = self._form_of(self._epoch(0, labelled), sum(map(len, labelled)))
        if form.crop_padding == 0:
            return form
        reach = max(_reach(batch, self._size) for epoch in range(self.num_epochs) for batch in self._read(epoch))
        return replace(form, crop_padding=reach)  # another epoch may reach further into the border

    def epochs(self, targets: Tensor, epochs: range) -> Iterator[list[FkdBatch]]:
        """The batches of each of ``epochs``. ``targets`` are the images' classes, class by class.

        Raises UsageError where the labels are not those of these images, or epochs differ in their batches.
        """
        for epoch, numbered in groupby(indexed_batches(self._folder, targets, epochs), key=lambda pair: pair[0]):
            batches = self._epoch(epoch, [batch for _, batch in numbered])
            form = self._form_of(batches, len(targets), frozenset([self.form.mix]))
            if form.batch_sizes != self.form.batch_sizes:
                raise UsageError(
                    f"{self.path}: epoch_{epoch} has other sizes of batches than epoch_0: it is a pruned one"
                )
            if form.crop is not self.form.crop or form.crop_padding > self.form.crop_padding:
                raise UsageError(f"{self.path} cannot be trained on: its crops differ in kind from epoch to epoch")
            yield batches

    def _read(self, epoch: int) -> list[FkdBatch]:
        return self._epoch(epoch, list(self._folder.batches(epoch)))

    def _epoch(self, epoch: int, labelled: list[LabelledBatch]) -> list[FkdBatch]:
        """``labelled`` in pixels of the images, as students see them."""
        batches = [self._converted(epoch, number, batch) for number, batch in enumerate(labelled)]
        if len(batches) > 1 and len(batches[-1].index) == 1 < len(batches[0].index):
            batches[-1] = _twice(batches[-1])
        return batches

    def _converted(self, epoch: int, number: int, batch: LabelledBatch) -> FkdBatch:
        """``batch`` in pixels of the images. Raises UsageError where it does not fit images of this size."""
        if wrong := _shape_error(batch, self._size):
            raise UsageError(f"{self._folder.file(epoch, number)} {wrong}")
        return FkdBatch(
            index=torch.zeros(len(batch), dtype=torch.int64) if batch.index is None else batch.index,
            crops=(batch.coords.double() * self._size).round().long(),
            flip=batch.flip,
            patch_rows=None,  # the published code stores an order of patches and leaves them where they are
            patch_columns=None,
            partner=batch.partner,
            weight=1.0 if batch.weight is None else batch.weight,
            cut_box=None if batch.box is None else (batch.box[0], batch.box[1], batch.box[2], batch.box[3]),
            logits=batch.logits,
            classes=None,
        )

    def _form_of(self, batches: list[FkdBatch], num_images: int, mixes: frozenset[Mix] = frozenset()) -> FkdForm:
        """The form that all ``batches`` of an epoch share.

        Raises UsageError where they differ, or are mixed otherwise than ``mixes``, or where no protocol makes them.
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
    """Write the labels that lie with the set in the ``infer`` folder ``source``; gives the number of batches.

    Where a protocol cuts crops from a black border (``evaluate.crop=padded``), coordinates reach outside of the image;
    Pillow, which FKD's readers crop with, adds black.
    Raises UsageError where the folder has no such labels, or no FKD file can hold them.
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


def _numbered(folder: Path, form: re.Pattern[str], first: str) -> list[Path]:
    """Entries of ``folder`` that are named like ``form``, by number, which runs from 0."""
    entries = folder.iterdir() if folder.is_dir() else ()
    found = {int(match[1]): entry for entry in entries if (match := form.fullmatch(entry.name))}
    absent = min(set(range(len(found) + 1)) - found.keys())
    if absent < len(found) or not found:
        missing = first if not found else form.pattern.replace(r"(\d+)", str(absent)).replace("\\", "")
        raise UsageError(f"{folder} has no {missing}: it is no whole folder of FKD labels, or a pruned one")
    return [found[number] for number in sorted(found)]


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
    """Fault of ``batch`` as one of images of ``size`` pixels; None where there is none."""
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
        return f"has a CutMix box {list(batch.box)} that is none in images of {size}x{size}"
    return None if batch.logits.isfinite().all() else "has logits that are not finite"


def _lies_inside(box: tuple[int, ...], size: int) -> bool:
    return len(box) == 4 and 0 <= box[0] <= box[2] <= size and 0 <= box[1] <= box[3] <= size


def _reach(batch: FkdBatch, size: int) -> int:
    """Pixels by which crops reach over the edges of the image, at most."""
    top, left, height, width = batch.crops.unbind(dim=1)
    edges = (-top, -left, top + height - size, left + width - size)
    return max(0, *(int(edge.max()) for edge in edges))


def _twice(batch: FkdBatch) -> FkdBatch:
    """The one image of ``batch`` and its label two times."""
    doubled: dict[str, Any] = {
        name: value.repeat(2, *[1] * (value.dim() - 1)) for name, value in vars(batch).items() if torch.is_tensor(value)
    }
    return replace(batch, **doubled)
