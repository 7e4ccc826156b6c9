"""A run's stored dynamic labels as an FKD folder: the draws, which are kept as a seed here, are spelled out.

Images are counted as they stand in an exported tree, class by class. Where a protocol cuts crops from a black border
(``evaluate.crop=padded``) coordinates reach outside of the image; Pillow, which FKD's readers crop with, adds black.
"""

import shlex
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import torch
from omegaconf import OmegaConf
from torch import Tensor

from infer import pipeline
from infer.config import Stage
from infer.console import Console
from infer.errors import UsageError
from infer.formats.fkd import LabelledBatch, write_batches
from infer.inspect.configs import settings_of_words
from infer.labels.fkd import FkdLabels
from infer.labels.fkd_batches import FkdBatch, fkd_batches
from infer.trials import main_trial

_NOT_OF_THE_LABELS = ("stages", "force", "cluster", "tracker", "outputs", "worker")


def export_fkd(run: Path, outputs: Path, folder: Path) -> int:
    """Write the labels that the run in the folder ``run`` was trained with; gives the number of batches.

    Raises UsageError where it had no such labels, they are no longer under ``outputs``, or no FKD file can hold them.
    """
    labels, targets = _labels_and_targets(run, outputs)
    place = torch.empty_like(targets)
    place[targets.argsort(stable=True)] = torch.arange(len(targets))
    by_epoch = groupby(fkd_batches(labels), key=lambda batch: batch.epoch)
    stored = ((_labelled(batch, labels.image_size, place) for batch in batches) for _, batches in by_epoch)
    return write_batches(folder, stored)


def _labels_and_targets(run: Path, outputs: Path) -> tuple[FkdLabels, Tensor]:
    typed = run / ".hydra" / "overrides.yaml"
    if not typed.is_file():
        raise UsageError(f"{typed} is missing: what the run was told is not known. Run it again with labeling=fkd")
    words = [word for word in OmegaConf.load(typed) if word.lstrip("+").partition("=")[0] not in _NOT_OF_THE_LABELS]
    _, config = settings_of_words(shlex.join(words))
    if config.labeling.topk is not None or config.evaluate.shuffle_patches > 1:
        raise UsageError(
            f"{run} had labeling.topk={config.labeling.topk} and evaluate.shuffle_patches="
            f"{config.evaluate.shuffle_patches}: FKD files have no place for pruned logits or shuffled patches. Export "
            "a run with null and 1"
        )
    config = replace(config, outputs=str(outputs), stages=[Stage.report])  # nothing is made
    context = pipeline.prepare(config, run, Console(brief=True), words)
    material = main_trial(context).material
    labels = material.labels
    if not isinstance(labels, FkdLabels):
        raise UsageError(
            f"{run} has {labels.mode} labels, and FKD folders hold dynamic labels that are stored ahead. Type python "
            f"launch.py {shlex.join([*words, 'labeling=fkd'])}"
        )
    return labels, material.images.targets()


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
