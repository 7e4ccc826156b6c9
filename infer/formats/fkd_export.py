"""A run's stored dynamic labels as an FKD folder: the draws, which may be kept as a seed here, are spelled out.

Images are counted as they stand in an exported tree, class by class. Where a protocol cuts crops from a black border
(``evaluate.crop=padded``) coordinates reach outside of the image; Pillow, which FKD's readers crop with, adds black.
"""

from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor

from infer.errors import UsageError
from infer.formats.fkd import LabelledBatch, write_batches
from infer.labels.fkd_batches import FkdBatch
from infer.labels.fkd_own import OwnLabels


def export_fkd(source: Path, folder: Path) -> int:
    """Write the labels that lie with the set in the ``infer`` folder ``source``; gives the number of batches.

    Raises UsageError where it has no such labels, or no FKD file can hold them.
    """
    labels = OwnLabels(source)
    if labels.are_pruned or labels.plan.settings.shuffle_patches > 1:
        what = "shuffled patches" if labels.plan.settings.shuffle_patches > 1 else "pruned logits"
        raise UsageError(
            f"{source} has {what}, which FKD files have no place for. Export a run with labeling.topk=null and "
            "evaluate.shuffle_patches=1"
        )
    by_epoch = groupby(labels.batches(range(labels.epochs)), key=lambda batch: batch.epoch)
    stored = ((_labelled(batch, labels.image_size, labels.place) for batch in batches) for _, batches in by_epoch)
    return write_batches(folder, stored)


def _labelled(batch: FkdBatch, size: tuple[int, int], place: Tensor) -> LabelledBatch:
    height, width = size
    return LabelledBatch(
        coords=batch.boxes.float() / torch.tensor([height, width, height, width]),
        flip=batch.flip,
        partner=batch.partner,
        weight=None if batch.partner is None else batch.weight,
        box=batch.cut_box,
        logits=batch.logits,
        index=place[batch.index],
    )
