"""Stand-in for a data set: its images with another number of classes, another resolution and another number."""

import dataclasses
import hashlib
from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from infer.config.scale import ScaleConfig
from infer.data.base import ImageDataset, Split
from infer.data.on_demand import OnDemand, Pixels
from infer.errors import UsageError
from infer.ranges import consecutive

_HELD_BYTES = 2**30
"""Largest size in bytes of both splits that is held in memory; images of larger ones are resized when they are used."""
_MOST_IMAGES = 10**8
"""Largest number of images of a split, seven times that of ImageNet-21k; the class of each image is held in memory."""
_BLOCK = 1024
"""Number of images that are resized together, in float32, which takes four times their memory."""


def stand_in(data: ImageDataset, sizes: ScaleConfig) -> ImageDataset:
    """``data`` with the given ``sizes``; ``data`` itself where none is given.

    Class c has images of class c mod C of ``data``, in turn. Images are resized only when a split is requested, so the
    costs of sizes that do not fit in memory can be estimated. Raises UsageError for a split with too many images.
    """
    given = (sizes.classes, sizes.image_size, sizes.train_per_class, sizes.test_per_class)
    if all(size is None for size in given):
        return data
    size, classes = sizes.image_size or data.image_size, sizes.classes or data.num_classes
    per_class = {
        "train": sizes.train_per_class or ceil(sum(data.train_counts) / data.num_classes),
        "test": sizes.test_per_class or ceil(len(data.test.targets) / data.num_classes),
    }
    for split, images in per_class.items():
        if images * classes > _MOST_IMAGES:
            key = f"scale.{split}_per_class"
            raise UsageError(
                f"{key}={images} of scale.classes={classes} would be {images * classes:,} images, and there may be "
                f"{_MOST_IMAGES:,}. Type {key}={max(1, _MOST_IMAGES // classes)} or less"
            )
    identity = f"{data.fingerprint} stand-in {classes} {size} {per_class['train']} {per_class['test']}"
    return dataclasses.replace(
        data,
        classes=[_name(data.classes, number) for number in range(classes)],
        image_size=size,
        train_counts=[per_class["train"]] * classes,
        fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
        notes=[*data.notes, f"stands in for {classes} classes of {per_class['train']} images of {size}x{size} pixels"],
        read=_reader(data, classes, size, per_class),
        is_resized=False,
    )


def _name(names: list[str], number: int) -> str:
    cycle, place = divmod(number, len(names))
    return f"{names[place]}-{cycle}" if cycle else names[place]


def _reader(data: ImageDataset, classes: int, size: int, per_class: dict[str, int]) -> Callable[[str], Split]:
    is_held = classes * sum(per_class.values()) * 3 * size**2 <= _HELD_BYTES

    def read(name: str) -> Split:
        split = data.train if name == "train" else data.test
        images = _Resized(split.images, _rows(split.targets, classes, per_class[name]), size)
        targets = torch.arange(classes).repeat_interleave(per_class[name])
        if is_held:
            blocks = [images[block.start : block.stop] for block in consecutive(len(images), _BLOCK)]
            return Split(torch.cat(blocks), targets)
        return Split(images, targets)

    return read


def _rows(targets: Tensor, classes: int, per_class: int) -> Tensor:
    """Rows, int64 [classes · per_class], of the images of each class in turn; ``targets`` are those of all images."""
    of_class = torch.argsort(targets, stable=True).split(torch.bincount(targets).tolist())
    chosen = [of_class[number % len(of_class)] for number in range(classes)]
    return torch.cat([rows[torch.arange(per_class) % len(rows)] for rows in chosen])


class _Resized(OnDemand):
    """The ``rows`` of some images, resized (bilinear, antialiased) each time they are used."""

    def __init__(self, images: Pixels, rows: Tensor, size: int) -> None:
        super().__init__(len(rows), size, torch.uint8)
        self._images, self._of = images, rows

    def load(self, rows: Tensor) -> Tensor:
        """The images ``rows``, resized."""
        pixels = self._images[self._of[rows]]
        if pixels.shape[-1] == self.shape[-1]:
            return pixels
        resized = interpolate(pixels.float(), tuple(self.shape[2:]), mode="bilinear", antialias=True)
        return resized.round().clamp(0, 255).to(torch.uint8)
