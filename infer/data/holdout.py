"""Holdout of a stratified part of the training data as ``val``, on which settings are chosen."""

import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from infer.data.base import ImageDataset, Split
from infer.errors import UsageError
from infer.seeds import generator


def holdout(data: ImageDataset, fraction: float, seed: int) -> ImageDataset:
    """``data`` with a fraction of the training images of every class moved from ``train`` to ``val``.

    The test split, mean and std do not change. Images are decoded only when a split is read. Raises UsageError where
    ``fraction`` leaves a class without images in ``train`` or in ``val``.
    """
    labels = np.repeat(np.arange(data.num_classes), data.train_counts)
    kept, held = _stratified(data, labels, fraction, seed)
    identity = f"{data.fingerprint} holdout {fraction!r} {seed}"
    return dataclasses.replace(
        data,
        train_counts=np.bincount(labels[kept], minlength=data.num_classes).tolist(),
        fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
        notes=[*data.notes, f"{len(held)} of {len(labels)} training images were held out as val"],
        read=_reader(data, {"train": kept, "val": held}),
        held_out=True,
    )


def _stratified(data: ImageDataset, labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions in ``labels`` that are kept, and those that are held out; ``labels`` are sorted by class."""
    state = int(generator(seed, "holdout").integers(2**32))
    smallest = min(data.train_counts)
    refusal = (
        f"holding out {fraction} of the training images of {data.name} as val leaves a class without images "
        f"on one side (its smallest class has {smallest}): use a fraction in (0, 1) that leaves some on both"
    )
    try:
        kept, held = train_test_split(
            np.arange(len(labels)), test_size=float(fraction), stratify=labels, random_state=state
        )
    except ValueError as error:  # scikit-learn raises it for a fraction out of range and for a class that is too small
        raise UsageError(refusal) from error
    if any(len(np.unique(labels[side])) < data.num_classes for side in (kept, held)):
        raise UsageError(refusal)
    return kept, held


def _reader(data: ImageDataset, positions: dict[str, np.ndarray]) -> Callable[[str], Split]:
    """Function that returns ``test`` unchanged, and the splits of ``positions`` in the class-sorted training data."""

    def read(name: str) -> Split:
        if name == "test":
            return data.test
        by_class = torch.cat(data.class_indices)
        rows = by_class[torch.from_numpy(positions[name])].sort().values
        return data.train.only(rows)

    return read
