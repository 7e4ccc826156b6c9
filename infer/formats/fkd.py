"""FKD label folders (SRe2L, CDA, G-VBSM, EDC, CV-DD, LPLD): one file per batch, ``epoch_{e}/batch_{b}.tar``.

A file is a list written by ``torch.save``, whatever its name says: ``[coords, flip, mix_index, mix_lam, mix_bbox,
logits]``, in G-VBSM's form followed by the images' indices, in EDC's by these and the order of the patches. The logits
are those of the batch as it was mixed. Files without indices mean the order of a sampler that has to be replayed
(``infer.formats.fkd_order``); those that are written here have them. Images are counted class by class, in the order in
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
    _require_consistent(batch, file)
    return batch


def write_batches(folder: Path, epochs: Iterable[Iterable[LabelledBatch]]) -> int:
    """Write ``epoch_{e}/batch_{b}.tar`` for every batch, and give how many. What a batch has not is left out."""
    written = 0
    for epoch, batches in enumerate(epochs):
        for number, batch in enumerate(batches):
            with replaced_whole(FkdFolder(folder).file(epoch, number)) as file:
                torch.save(_as_items(batch), file)
            written += 1
    return written


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


def _require_consistent(batch: LabelledBatch, file: Path) -> None:
    """Raise UsageError where the parts of ``batch`` do not go together, or hold numbers that mean nothing."""
    per_image = (batch.coords, batch.flip, batch.partner, batch.index, batch.patch_order)
    if any(tensor is not None and tensor.shape[:1] != batch.logits.shape[:1] for tensor in per_image):
        raise UsageError(f"{file} has logits {list(batch.logits.shape)}, and other numbers of crops, flips or partners")
    require_finite(batch.coords, "crop", file)
    if batch.weight is not None and not math.isfinite(batch.weight):
        raise UsageError(f"{file} mixes images with the weight {batch.weight}. Make it again")
    if batch.partner is not None and not ((batch.partner >= 0) & (batch.partner < len(batch))).all():
        raise UsageError(f"{file} mixes images with such as its {len(batch)} are not")


def _as_items(batch: LabelledBatch) -> list[Any]:
    """The list that the file of ``batch`` holds."""
    box = None if batch.box is None else list(batch.box)  # Python's numbers: numpy's would need code to be read
    items: list[Any] = [batch.coords, batch.flip, batch.partner, batch.weight, box, batch.logits]
    items += [item for item in (batch.index, batch.patch_order) if item is not None]
    return [item.clone() if isinstance(item, Tensor) else item for item in items]


def _numbered(folder: Path, form: re.Pattern[str], first: str) -> list[Path]:
    """Entries of ``folder`` that are named like ``form``, by number, which runs from 0."""
    entries = folder.iterdir() if folder.is_dir() else ()
    found = {int(match[1]): entry for entry in entries if (match := form.fullmatch(entry.name))}
    absent = min(set(range(len(found) + 1)) - found.keys())
    if absent < len(found) or not found:
        missing = first if not found else form.pattern.replace(r"(\d+)", str(absent)).replace("\\", "")
        raise UsageError(f"{folder} has no {missing}: it is no whole folder of FKD labels, or a pruned one")
    return [found[number] for number in sorted(found)]
