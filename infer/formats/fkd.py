"""FKD label folders (SRe2L, CDA, G-VBSM, EDC, CV-DD, LPLD): one file per batch, ``epoch_{e}/batch_{b}.tar``.

Despite its name, a file is a list written by ``torch.save``: ``[coords, flip, mix_index, mix_lam, mix_bbox, logits]``,
followed by the indices of the images in G-VBSM's form, and by these and the order of the patches in EDC's. The logits
are those of the mixed batch. Files without indices require the order of a sampler, which has to be replayed
(``infer.formats.fkd_order``); files that are written here have indices. Images are numbered in the order of classes, in
which trees of images are read and written. ``infer.formats.fkd_conversion`` converts batches to the package's own form
and back.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from infer.errors import UsageError
from infer.files import replaced_whole
from infer.formats.foreign_set import require_finite
from infer.torch_load import load_foreign, require_plain

_EPOCH, _BATCH = re.compile(r"epoch_(\d+)"), re.compile(r"batch_(\d+)\.tar")
_ITEMS = (6, 7, 8)


@dataclass(frozen=True, eq=False)
class LabelledBatch:
    """Content of one file ``batch_{b}.tar``."""

    coords: Tensor
    """float32 [B, 4]: top, left, height and width of the crop, as fractions of the image's height and width."""
    flip: Tensor
    """bool [B]: True where the crop is mirrored left to right."""
    partner: Tensor | None
    """int64 [B]: position within the batch of the image that is mixed in; None without mixing."""
    weight: float | None
    """Weight of the image itself as drawn; CutMix's is not corrected to the area of the box. None without mixing."""
    box: tuple[int, ...] | None
    """First row, first column, end row and end column of the box that CutMix takes from the partner, or None."""
    logits: Tensor
    """float16 or float32 [B, C]: logits of the mixed batch."""
    index: Tensor | None = None
    """int64 [B]: rows of the set, in the order of ImageFolder; None where the file does not have them."""
    patch_order: Tensor | None = None
    """int64 [B, 2, 2]: order of patches that EDC stores; None in other files. EDC's code joins the patches in their
    original order (relabel/utils_fkd.py, ``shuffle_weight``), so the labels are those of unshuffled images."""

    def __len__(self) -> int:
        return len(self.logits)


@dataclass(frozen=True)
class FkdFolder:
    """Folder of FKD labels, whose files are read when they are requested."""

    path: Path

    @cached_property
    def batches_per_epoch(self) -> list[int]:
        """Number of files of each epoch. Raises UsageError where an epoch or a batch is missing."""
        epochs = _numbered(self.path, _EPOCH, "epoch_0/batch_0.tar")
        return [len(_numbered(epoch, _BATCH, "batch_0.tar")) for epoch in epochs]

    @property
    def files(self) -> list[Path]:
        """All files in the order of epochs. Raises UsageError as ``batches_per_epoch`` does."""
        return [self.file(e, b) for e, count in enumerate(self.batches_per_epoch) for b in range(count)]

    def file(self, epoch: int, number: int) -> Path:
        """The file of one batch."""
        return self.path / f"epoch_{epoch}" / f"batch_{number}.tar"

    def batch(self, epoch: int, number: int) -> LabelledBatch:
        """The content of one file. Raises UsageError where it is damaged, requires code or has another format."""
        return read_batch(self.file(epoch, number))

    def batches(self, epoch: int) -> Iterator[LabelledBatch]:
        """The contents of all files of ``epoch``. Raises UsageError as ``batch`` does."""
        return (self.batch(epoch, number) for number in range(self.batches_per_epoch[epoch]))


def read_batch(file: Path) -> LabelledBatch:
    """The content of one file ``batch_{b}.tar`` with 6, 7 or 8 items. Raises UsageError for any other file."""
    items = load_foreign(file)
    if not isinstance(items, list | tuple) or len(items) not in _ITEMS or not isinstance(items[5], Tensor):
        raise UsageError(
            f"{file} is not a batch of FKD labels: [coords, flip, mix_index, mix_lam, mix_bbox, logits], "
            "optionally followed by indices and the order of patches"
        )
    try:
        batch = _as_batch(items, file)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:  # text, inf, or lists of different lengths
        raise UsageError(f"{file} holds crops, flips, partners or boxes that are not numbers ({error})") from None
    _require_consistent(batch, file)
    return batch


def write_batches(folder: Path, epochs: Iterable[Iterable[LabelledBatch]]) -> int:
    """Write ``epoch_{e}/batch_{b}.tar`` for every batch, and return their number. Optional items are left out."""
    written = 0
    for epoch, batches in enumerate(epochs):
        for number, batch in enumerate(batches):
            with replaced_whole(FkdFolder(folder).file(epoch, number)) as file:
                torch.save(_as_items(batch), file)
            written += 1
    return written


def _as_batch(items: Sequence[Any], file: Path) -> LabelledBatch:
    """The items of ``file``, converted to their types."""

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


def _require_consistent(batch: LabelledBatch, file: Path) -> None:
    """Raise UsageError where the parts of ``batch`` do not fit together, or contain impossible numbers."""
    per_image = (batch.coords, batch.flip, batch.partner, batch.index, batch.patch_order)
    if any(tensor is not None and tensor.shape[:1] != batch.logits.shape[:1] for tensor in per_image):
        raise UsageError(f"{file} has logits {list(batch.logits.shape)}, but other numbers of crops, flips or partners")
    require_finite(batch.coords, "crop", file)
    if batch.weight is not None and not math.isfinite(batch.weight):
        raise UsageError(f"{file} mixes images with the weight {batch.weight}, which is not finite. Make it again")
    if batch.partner is not None and not ((batch.partner >= 0) & (batch.partner < len(batch))).all():
        raise UsageError(f"{file} mixes images with others that are not among its {len(batch)}. Make it again")


def _as_items(batch: LabelledBatch) -> list[Any]:
    """The list that is written to the file of ``batch``."""
    box = None if batch.box is None else list(batch.box)  # Python numbers, since reading NumPy's would require code
    items: list[Any] = [batch.coords, batch.flip, batch.partner, batch.weight, box, batch.logits]
    items += [item for item in (batch.index, batch.patch_order) if item is not None]
    return [item.clone() if isinstance(item, Tensor) else item for item in items]


def _numbered(folder: Path, form: re.Pattern[str], first: str) -> list[Path]:
    """Entries of ``folder`` whose names match ``form``, by number. Raises UsageError unless numbers are 0, 1, ..."""
    entries = folder.iterdir() if folder.is_dir() else ()
    found = {int(match[1]): entry for entry in entries if (match := form.fullmatch(entry.name))}
    absent = min(set(range(len(found) + 1)) - found.keys())
    if absent < len(found) or not found:
        missing = first if not found else form.pattern.replace(r"(\d+)", str(absent)).replace("\\", "")
        raise UsageError(f"{folder} has no {missing}: it is an incomplete or a pruned folder of FKD labels")
    return [found[number] for number in sorted(found)]
