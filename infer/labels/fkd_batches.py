"""FKD labels spelled out batch by batch: what files hold that store coordinates instead of seeds."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from infer.labels.fkd import FkdLabels
from infer.labels.fkd_reader import FkdReader
from infer.training.draws import Draws
from infer.training.mixing import Box
from infer.training.plan import Plan


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
    """float16 or float32 [B, C], or [B, k] where only the k highest are stored."""
    classes: Tensor | None
    """int64 [B, k]: the classes of ``logits``; None where all are stored, in order."""


def fkd_batches(labels: FkdLabels) -> Iterator[FkdBatch]:
    """Every stored batch, epoch by epoch, in the order in which students see them."""
    reader = FkdReader(labels.chunks, torch.device("cpu"))
    return spelled_out(labels.draws, labels.plan, labels.image_size, reader, range(labels.epochs))


def spelled_out(
    draws: Draws, plan: Plan, image_size: tuple[int, int], reader: FkdReader, epochs: Iterable[int]
) -> Iterator[FkdBatch]:
    """The batches of ``epochs`` that ``draws`` make under ``plan``, with their logits."""
    for epoch in epochs:
        yield from _batches_of(draws, plan, image_size, reader, epoch)


def _batches_of(
    draws: Draws, plan: Plan, image_size: tuple[int, int], reader: FkdReader, epoch: int
) -> Iterator[FkdBatch]:
    drawn = draws.of(plan, epoch, image_size)
    boxes = drawn.crop_boxes(plan.settings.crop_padding, image_size)
    for number, (start, stop) in enumerate(pairwise(accumulate(plan.batch_sizes, initial=0))):
        rows = slice(start, stop)
        logits, classes = reader.rows(epoch, rows)
        yield FkdBatch(
            epoch=epoch,
            number=number,
            index=drawn.order[rows],
            boxes=boxes[rows],
            flip=drawn.flip[rows],
            patch_rows=None if drawn.patch_rows is None else drawn.patch_rows[rows],
            patch_columns=None if drawn.patch_columns is None else drawn.patch_columns[rows],
            partner=None if drawn.partner is None else drawn.partner[rows],
            weight=drawn.weights[number],
            cut_box=None if drawn.boxes is None else drawn.boxes[number],
            logits=logits,
            classes=None if classes is None else classes.long(),
        )
