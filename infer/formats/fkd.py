"""FKD label folders (SRe2L, CDA, G-VBSM, EDC, CV-DD, LPLD): one file per batch, ``epoch_{e}/batch_{b}.tar``.

A file is a list written by ``torch.save``, whatever its name says: ``[coords, flip, mix_index, mix_lam, mix_bbox,
logits]``, in G-VBSM's form followed by the images' indices, in EDC's by these and the order of the patches. The logits
are those of the batch as it was mixed. Files without indices mean the order of a sampler that has to be replayed
(``infer.formats.fkd_order``); those that are written here have them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from infer.errors import UsageError
from infer.files import replaced_whole
from infer.torch_load import load_foreign

_EPOCH, _BATCH = re.compile(r"epoch_(\d+)"), re.compile(r"batch_(\d+)\.tar")
_ITEMS = (6, 7, 8)


@dataclass(frozen=True, eq=False)
class LabelledBatch:
    """How a batch is made from the images of a set, and the labels that it was given."""

    coords: Tensor
    """float32 [B, 4]: top, left, height and width of the crop, as shares of the image's height and width."""
    flip: Tensor
    """bool [B]: whether the crop is mirrored left to right."""
    partner: Tensor | None
    """int64 [B]: position within the batch of the image mixed in; None without mixing."""
    weight: float | None
    """Share of the image itself, as drawn; CutMix's is not corrected to the area of the box. None without mixing."""
    box: tuple[int, int, int, int] | None
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

    @property
    def payload_bytes(self) -> int:
        """Bytes of the tensors, and eight for each number beside them."""
        numbers = (self.weight is not None) + len(self.box or ())
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, Tensor)) + 8 * numbers


@dataclass(frozen=True)
class FkdFolder:
    """A folder of FKD labels; files are read when they are asked for."""

    path: Path

    @cached_property
    def batches_per_epoch(self) -> list[int]:
        """How many files each epoch has. Raises UsageError where an epoch or a batch is missing."""
        epochs = _numbered(self.path, _EPOCH, "epoch_0/batch_0.tar")
        return [len(_numbered(epoch, _BATCH, "batch_0.tar")) for epoch in epochs]

    @property
    def files(self) -> list[Path]:
        """All files, epoch by epoch. Raises UsageError as ``batches_per_epoch``."""
        return [
            self.path / f"epoch_{epoch}" / f"batch_{number}.tar"
            for epoch, count in enumerate(self.batches_per_epoch)
            for number in range(count)
        ]

    def batch(self, epoch: int, number: int) -> LabelledBatch:
        """One file as it is. Raises UsageError where it is damaged, needs code or is of another format."""
        return read_batch(self.path / f"epoch_{epoch}" / f"batch_{number}.tar")


def read_batch(file: Path) -> LabelledBatch:
    """The content of one ``batch_{b}.tar`` with 6, 7 or 8 items."""
    items = load_foreign(file)
    if not isinstance(items, list | tuple) or len(items) not in _ITEMS or not isinstance(items[5], Tensor):
        raise UsageError(
            f"{file} is no batch of FKD labels: [coords, flip, mix_index, mix_lam, mix_bbox, logits], with indices and "
            "the patches' order at most"
        )
    coords, flip, partner, weight, box, logits, *more = items
    batch = LabelledBatch(
        coords=_tensor(coords).float(),
        flip=_tensor(flip).bool(),
        partner=None if partner is None else _tensor(partner).long(),
        weight=None if weight is None else float(weight),
        box=None if box is None else tuple(int(edge) for edge in box),
        logits=logits,
        index=_tensor(more[0]).long() if more else None,
        patch_order=_tensor(more[1]) if len(more) > 1 else None,
    )
    per_image = (batch.coords, batch.flip, batch.partner, batch.index, batch.patch_order)
    if any(tensor is not None and len(tensor) != len(batch) for tensor in per_image):
        raise UsageError(f"{file} has {len(batch)} rows of logits, and other numbers of crops, flips or partners")
    if batch.partner is not None and not ((batch.partner >= 0) & (batch.partner < len(batch))).all():
        raise UsageError(f"{file} mixes images with such as its {len(batch)} are not")
    return batch


def write_batches(folder: Path, epochs: Iterable[Iterable[LabelledBatch]]) -> int:
    """Write ``epoch_{e}/batch_{b}.tar`` for every batch, and give how many. What a batch has not is left out."""
    written = 0
    for epoch, batches in enumerate(epochs):
        for number, batch in enumerate(batches):
            box = None if batch.box is None else list(batch.box)  # Python's numbers: numpy's would need code to be read
            items: list[Any] = [batch.coords, batch.flip, batch.partner, batch.weight, box, batch.logits]
            items += [item.clone() for item in (batch.index, batch.patch_order) if item is not None]
            with replaced_whole(folder / f"epoch_{epoch}" / f"batch_{number}.tar") as file:
                torch.save([item.clone() if isinstance(item, Tensor) else item for item in items], file)
            written += 1
    return written


def _numbered(folder: Path, form: re.Pattern[str], first: str) -> list[Path]:
    """What is named like ``form`` in ``folder``, by number, which runs from 0."""
    entries = folder.iterdir() if folder.is_dir() else ()
    found = {int(match[1]): entry for entry in entries if (match := form.fullmatch(entry.name))}
    absent = min(set(range(len(found) + 1)) - found.keys())
    if absent < len(found) or not found:
        missing = first if not found else form.pattern.replace(r"(\d+)", str(absent)).replace("\\", "")
        raise UsageError(f"{folder} has no {missing}: it is no whole folder of FKD labels, or a pruned one")
    return [found[number] for number in sorted(found)]


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.as_tensor(value)
