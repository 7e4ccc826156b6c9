"""Order of the images in FKD files without indices: that of the writer's sampler, which is replayed and checked.

SRe2L draws a permutation per epoch from one generator with seed 42, which is not reset between epochs. Some versions of
torch draw a second permutation per epoch that is not used, so that from the second epoch the order depends on the
version. Both orders are replayed, and the labels show which one was used: the class with the highest logit is that of
the image far more often than by chance.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from infer.errors import UsageError
from infer.formats.fkd import FkdFolder, LabelledBatch

_SEED = 42
"""Seed of the published code, which ignores its option --fkd-seed."""
_ROWS_COMPARED = 2000
_DEVIATIONS = 5.0
"""Number of standard deviations above chance from which an agreement is accepted."""

Order = Callable[[int], list[int]]
"""Function that returns all rows of an epoch, in order."""


def indexed_batches(
    folder: FkdFolder, targets: Tensor, epochs: Iterable[int] | None = None
) -> Iterator[tuple[int, LabelledBatch]]:
    """Number of the epoch and batch of all batches in order, with indices of the images whose classes are ``targets``.

    ``epochs`` are the epochs to read; None for all. Raises UsageError where the labels are not those of these images.
    """
    counts = folder.batches_per_epoch
    order = None if folder.batch(0, 0).index is not None else replayed_order(folder, targets)
    for epoch in range(len(counts)) if epochs is None else epochs:
        rows = iter(order(epoch)) if order else None
        for number in range(counts[epoch]):
            batch = folder.batch(epoch, number)
            if rows is not None:
                batch = replace(batch, index=torch.tensor(list(islice(rows, len(batch)))))
            _check_rows(batch, len(targets), folder.path)
            yield epoch, batch


def replayed_order(folder: FkdFolder, targets: Tensor) -> Order:
    """The order of images in ``folder``, where ``targets`` are the classes of the images.

    Raises UsageError where the number of images differs, or no order agrees with the labels.
    """
    count = _rows_of_epoch(folder, 0)
    if count != len(targets):
        raise UsageError(
            f"{folder.path} labels {count} images per epoch without saying which, and the set has {len(targets)}: it "
            "is of another set, or pruned, and then its order cannot be replayed"
        )
    epoch = min(1, len(folder.batches_per_epoch) - 1)  # in the first epoch both orders are equal
    orders = [_order(len(targets), drawn) for drawn in (1, 2)]
    agreements = [_agreement(folder, epoch, order(epoch), targets) for order in orders]
    best = max(range(2), key=lambda variant: agreements[variant][0])
    share, compared, num_classes = agreements[best]
    if not agrees(share, compared, num_classes):
        told = " and ".join(f"{100 * agreement[0]:.1f} %" for agreement in agreements)
        raise UsageError(
            f"{folder.path} does not say which images it labels, and neither replay of SRe2L's sampler fits: the "
            f"labels agree with the classes in {told} of {compared} cases, by chance {100 / num_classes:.1f} %. The "
            "images, or their order, are not those that were labelled"
        )
    return orders[best]


def agrees(share: float, compared: int, num_classes: int) -> bool:
    """True if labels agree with classes more often than by chance: a fraction ``share`` of ``compared`` labels."""
    chance = 1 / num_classes
    return share - chance >= _DEVIATIONS * math.sqrt(chance * (1 - chance) / compared)


def of_leading(values: Tensor, partner: Tensor | None, weight: float | None) -> Tensor:
    """The ``values`` [B] of the image with the larger weight: each image of a batch, or the one mixed into it."""
    return values if partner is None or weight is None or weight >= 0.5 else values[partner]


def _order(num_images: int, drawn_per_epoch: int) -> Order:
    generator = torch.Generator().manual_seed(_SEED)
    replayed: list[list[int]] = []

    def order(epoch: int) -> list[int]:
        while len(replayed) <= epoch:
            first, *_ = [torch.randperm(num_images, generator=generator) for _ in range(drawn_per_epoch)]
            replayed.append(first.tolist())
        return replayed[epoch]

    return order


def _check_rows(batch: LabelledBatch, num_images: int, path: Path) -> None:
    index = batch.index
    if index is None or len(index) < len(batch):
        raise UsageError(f"{path} labels more images in one epoch than the {num_images} of the set")
    if not 0 <= int(index.min()) <= int(index.max()) < num_images:
        raise UsageError(f"{path} labels image {int(index.max())}, and the set has {num_images} images")


def _rows_of_epoch(folder: FkdFolder, epoch: int) -> int:
    last = folder.batches_per_epoch[epoch] - 1
    return last * len(folder.batch(epoch, 0)) + len(folder.batch(epoch, last))


def _agreement(folder: FkdFolder, epoch: int, order: Sequence[int], targets: Tensor) -> tuple[float, int, int]:
    """Fraction of images whose label has its maximum at their class, number of these images, and number of classes."""
    agreeing = compared = num_classes = 0
    for number in range(folder.batches_per_epoch[epoch]):
        batch = folder.batch(epoch, number)
        rows = torch.tensor(order[compared : compared + len(batch)])
        expected = of_leading(targets[rows], batch.partner, batch.weight)
        agreeing += int((batch.logits.argmax(dim=1) == expected).sum())
        compared += len(batch)
        num_classes = batch.logits.shape[1]
        if compared >= _ROWS_COMPARED:
            break
    return agreeing / compared, compared, num_classes
