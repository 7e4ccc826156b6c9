"""Samples of images for analyses: the first ones of each class of a distilled set, and real images to compare with."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from infer.config.evaluate import TestSplit
from infer.context import Context
from infer.data.base import Split
from infer.data.on_demand import OnDemand
from infer.methods.sets.base import DistilledArtefact
from infer.store import Artefact
from infer.training.images import Images

MOST_IMAGES = 10_000
"""Largest number of images of a sample, so that their features fit into memory. It is rounded down to the same number
for each class, which is at least 2."""


@dataclass(frozen=True)
class Sample:
    """Reference to images with their classes, and everything that they depend on."""

    name: str
    settings: Mapping[str, Any]
    """Settings that the images depend on, besides ``parents``."""
    parents: Mapping[str, Artefact]
    rows: Callable[[], Tensor]
    """Function that returns the positions of the images in their set in ascending order: int64 [n]."""
    read: Callable[[], tuple[Images, Tensor]]
    """Function that returns the images and their classes, int64 [n], in that order."""


def sample_of(images: DistilledArtefact) -> Sample:
    """The first images of every class of a distilled set, about ``MOST_IMAGES`` in all."""
    most = _most_per_class(images.context.data.num_classes)

    def rows() -> Tensor:
        return first_of(images.targets(), range(images.context.data.num_classes), most)

    def read() -> tuple[Images, Tensor]:
        kept = rows()
        return _only(images.images(), kept), images.targets()[kept]

    return Sample(images.name, {"images": "set", "most_per_class": most}, {"images": images}, rows, read)


def real_beside(images: DistilledArtefact) -> Sample:
    """Random training images to compare with ``sample_of(images)``.

    Their number per class is the mean of the set's, limited like that of ``sample_of`` and by the smallest class.
    """
    data, seed = images.context.data, images.context.config.seed
    average = max(1, round(images.num_images / data.num_classes))
    per_class = min(average, _most_per_class(data.num_classes), min(data.train_counts))

    def rows() -> Tensor:
        return data.sample(seed, per_class, "analyses").flatten().sort().values

    def read() -> tuple[Images, Tensor]:
        split = data.train.only(rows())
        return Images(split.images, data.normalisation), split.targets

    settings = {"images": "real", "data": data.fingerprint, "seed": seed, "per_class": per_class}
    return Sample(f"{data.name}-real-{per_class}", settings, {}, rows, read)


def scored_images(context: Context, classes: Sequence[int], most: int) -> Sample:
    """The first ``most`` images, or fewer, of each of ``classes``, from the split on which students are scored."""
    data, name = context.data, context.config.evaluate.split

    def split() -> Split:
        held_out = data.val if name is TestSplit.val else None
        return held_out or data.test

    def rows() -> Tensor:
        return first_of(split().targets, classes, most)

    def read() -> tuple[Images, Tensor]:
        kept = split().only(rows())
        return Images(kept.images, data.normalisation), kept.targets

    settings = {"images": name.value, "data": data.fingerprint, "classes": list(classes), "most_per_class": most}
    return Sample(f"{data.name}-{name.value}-{len(classes)}x{most}", settings, {}, rows, read)


def first_of(targets: Tensor, classes: Iterable[int], most: int) -> Tensor:
    """Positions of the first ``most`` images, or fewer, of each of ``classes`` in ascending order: int64 [n]."""
    return torch.cat([torch.where(targets == c)[0][:most] for c in classes]).sort().values


def network_inputs(images: Images, rows: Tensor) -> Tensor:
    """The images ``rows`` as inputs of a network: float32 [n, 3, H, W], normalised."""
    return images.normalised(images.pixels[rows])


def _only(images: Images, rows: Tensor) -> Images:
    pixels = images.pixels
    return replace(images, pixels=pixels.only(rows) if isinstance(pixels, OnDemand) else pixels[rows])


def _most_per_class(num_classes: int) -> int:
    return max(2, MOST_IMAGES // num_classes)
