"""FKD labels spelled out batch by batch, for formats that store coordinates instead of seeds."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from infer.labels.fkd import FkdLabels, FkdReader
from infer.training.mixing import Box


@dataclass(frozen=True, eq=False)
class FkdBatch:
    """How one batch is made from the images of a set, and what the teachers say of it; tensors on the CPU."""

    epoch: int
    number: int
    """Of the batch within its epoch."""
    index: Tensor
    """int64 [B]: rows of the set."""
    boxes: Tensor
    """int64 [B, 4]: top, left, height, width of the crop in pixels of the image, enlarged to its size; with
    ``evaluate.crop=padded`` it has the image's size and reaches over the edge into black."""
    flip: Tensor
    """bool [B]: whether the crop is mirrored left to right."""
    patch_rows: Tensor | None
    """int64 [B, n]: before the crop, the row of patches of the image that each row shows; None: unshuffled."""
    patch_columns: Tensor | None
    """int64 [B, n]: the same for columns."""
    partner: Tensor | None
    """int64 [B]: position within the batch of the image mixed in; None without mixing."""
    weight: float
    """Share of the image itself as drawn; CutMix's is not corrected to the area of the box. 1.0 without mixing."""
    cut_box: Box | None
    """Top, left, bottom, right of what CutMix takes from the partner, after crop and flip; None otherwise."""
    logits: Tensor
    """float16 [B, C], or [B, k] where only the k highest are stored."""
    classes: Tensor | None
    """int64 [B, k]: the classes of ``logits``; None where all are stored, in order."""


def fkd_batches(labels: FkdLabels) -> Iterator[FkdBatch]:
    """Every stored batch, epoch by epoch, in the order in which students see them."""
    reader = FkdReader(labels.chunks, torch.device("cpu"))
    for epoch in range(labels.epochs):
        yield from _batches_of(labels, epoch, reader)


def _batches_of(labels: FkdLabels, epoch: int, reader: FkdReader) -> Iterator[FkdBatch]:
    draws = labels.draws.of(labels.plan, epoch, labels.image_size)
    boxes = draws.crop_boxes(labels.plan.settings.crop_padding, labels.image_size)
    for number, (start, stop) in enumerate(pairwise(accumulate(labels.plan.batch_sizes, initial=0))):
        rows = slice(start, stop)
        logits, classes = reader.rows(epoch, rows)
        yield FkdBatch(
            epoch=epoch,
            number=number,
            index=draws.order[rows],
            boxes=boxes[rows],
            flip=draws.flip[rows],
            patch_rows=None if draws.patch_rows is None else draws.patch_rows[rows],
            patch_columns=None if draws.patch_columns is None else draws.patch_columns[rows],
            partner=None if draws.partner is None else draws.partner[rows],
            weight=draws.weights[number],
            cut_box=None if draws.boxes is None else draws.boxes[number],
            logits=logits,
            classes=None if classes is None else classes.long(),
        )
