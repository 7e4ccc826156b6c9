"""ImageNet-1k, its subsets and Tiny-ImageNet: trees whose class folders are named by WordNet IDs (WNIDs).

Classes are numbered by sorted WNID, which for all 1,000 classes is the order of the outputs in torchvision and timm.
These data sets are published and do not change. Their fingerprint is computed from the paths and sizes of the files,
since reading 150 GB before a first run would take too long.
"""

import os
from abc import ABC, abstractmethod
from collections import Counter
from functools import cache, cached_property
from pathlib import Path

import torch
from torchvision.transforms import InterpolationMode

from infer.config.dataset import ImagenetConfig, TinyImagenetConfig, WnidConfig
from infer.data.base import Facts, Split
from infer.data.decode import Resizing
from infer.data.listing import ImageFile, Listing, describe, list_split
from infer.data.measure import fingerprint
from infer.data.paths import expand
from infer.data.tree import Tree
from infer.data.walk import class_folders, note_of
from infer.errors import UsageError
from infer.words import some

_TINY_CLASSES = 200
_TINY_SIZE = 64


def imagenet_wnids() -> list[str]:
    """The WNIDs of the 1,000 classes of ImageNet-1k, sorted; their order is that of the outputs of networks."""
    return list(_imagenet_names())


def imagenet_outputs(classes: list[str]) -> list[int] | None:
    """The index of each class among the outputs of an ImageNet-1k network; None unless all are classes of it."""
    if not all(map(_is_wnid, classes)):
        return None
    place = {wnid: output for output, wnid in enumerate(imagenet_wnids())}
    return [place[wnid] for wnid in classes] if place.keys() >= set(classes) else None


def in_words(classes: list[str]) -> list[str]:
    """Readable class names: the first description of each WNID if all are of ImageNet-1k, else ``classes``."""
    if imagenet_outputs(classes) is None:
        return classes
    return [_imagenet_names()[wnid] for wnid in classes]


class WnidImages(ABC):
    """Base class of data sets whose class folders are named by WNIDs; a subclass lists the files."""

    def __init__(self, config: WnidConfig, threads: int) -> None:
        self._config = config
        self._threads = threads
        self._root = expand(config.root)

    @abstractmethod
    def _list(self) -> Listing:
        """The files of both splits. Raises UsageError where the tree is not laid out as required."""

    @property
    @abstractmethod
    def _shape(self) -> tuple[int, Resizing | None]:
        """Edge of the images in pixels, and the conversion to this size; None without conversion."""

    def facts(self, cache_dir: Path) -> Facts:
        """The facts, from paths and sizes of files only.

        Raises UsageError where the tree is not laid out as required. An image that cannot be read is reported only when
        it is used.
        """
        config, listing, (size, resizing) = self._config, self._listing, self._shape
        files = [file for files in listing.splits.values() for file in files]
        told = [part for file in files for part in (os.fsencode(file.path), b"%d" % file.size)]
        targets = torch.tensor([file.target for file in listing.splits["train"]])
        return Facts(
            name=config.name,
            classes=listing.classes,
            mean=config.mean,
            std=config.std,
            image_size=size,
            train_counts=torch.bincount(targets, minlength=len(listing.classes)).tolist(),
            fingerprint=fingerprint([repr(resizing).encode(), *told], listing.classes, size, config.mean, config.std),
            notes=listing.notes,
        )

    @property
    def is_resized(self) -> bool:
        """True for ImageNet, whose files have various sizes."""
        return self._shape[1] is not None

    def split(self, name: str) -> Split:
        """The split ``train`` or ``test``, as returned by ``Tree.split``."""
        size, resizing = self._shape
        return Tree(self._root, self._listing, size, resizing, self._config.in_memory, self._threads).split(name)

    @cached_property
    def _listing(self) -> Listing:
        if not self._root.is_dir():
            raise UsageError(f"dataset.root={self._root} is not a folder: {self._config.layout}")
        return self._list()

    def _check_classes(self, folder: str, there: list[str], wanted: list[str]) -> None:
        if absent := sorted(set(wanted) - set(there)):
            raise UsageError(
                f"{self._root / folder} has {len(wanted) - len(absent)} of the {len(wanted)} class folders of "
                f"{self._config.name} (missing: {some(absent)}): {self._config.layout}"
            )


class Imagenet(WnidImages):
    """ImageNet-1k, or its classes in the setting ``wnids``, from a tree of all classes or of these only."""

    _config: ImagenetConfig

    @property
    def _shape(self) -> tuple[int, Resizing | None]:
        config = self._config
        # Bilinear, as for the first weights of ResNets in torchvision; for those of EfficientNets it is bicubic.
        return config.image_size, Resizing(config.resize, config.image_size, InterpolationMode.BILINEAR)

    def _list(self) -> Listing:
        config = self._config
        classes = sorted(config.wnids or imagenet_wnids())
        passed_over: Counter[str] = Counter()
        splits = {}
        for name, folder in (("train", config.train), ("test", config.test)):
            self._check_classes(folder, class_folders(self._root / folder), classes)
            splits[name] = list_split(self._root, folder, classes, passed_over)
        same = ["the test images are the training images: scores say nothing about unseen images"]
        return Listing(classes, splits, [*(same if config.train == config.test else []), *note_of(passed_over)])


class TinyImagenet(WnidImages):
    """Tiny-ImageNet: 200 classes, 100,000 training images of 64x64 pixels; its validation images are the test split."""

    _config: TinyImagenetConfig

    @property
    def _shape(self) -> tuple[int, Resizing | None]:
        return _TINY_SIZE, None

    def _list(self) -> Listing:
        classes = [name for name in class_folders(self._root / "train") if _is_wnid(name)]
        if len(classes) != _TINY_CLASSES:
            raise UsageError(
                f"{self._root / 'train'} has {len(classes)} class folders named by WNIDs, not {_TINY_CLASSES}: "
                f"{self._config.layout}"
            )
        passed_over: Counter[str] = Counter()
        splits = {"train": list_split(self._root, "train", classes, passed_over)}
        splits["test"] = self._annotated(classes) or self._sorted_into_folders(classes)
        return Listing(classes, splits, [])

    def _annotated(self, classes: list[str]) -> list[ImageFile]:
        """The validation images in the published layout, one folder and a file of their classes; empty for others."""
        annotations = self._root / "val" / "val_annotations.txt"
        if not annotations.is_file() or not (annotations.parent / "images").is_dir():
            return []
        lines = [line.split("\t") for line in annotations.read_text().splitlines() if line]
        class_of = {name: classes.index(wnid) for name, wnid, *_ in lines}
        with os.scandir(annotations.parent / "images") as entries:
            there = {entry.name: entry for entry in entries}
        if absent := sorted(set(class_of) - set(there)):
            raise UsageError(f"{annotations} names images that are not in val/images: {some(absent)}")
        files = [describe(self._root, there[name], target) for name, target in class_of.items()]
        return sorted(files, key=lambda file: (file.target, file.path))

    def _sorted_into_folders(self, classes: list[str]) -> list[ImageFile]:
        """The validation images in one folder per class, the layout of many copies of this data set."""
        self._check_classes("val", class_folders(self._root / "val"), classes)
        return list_split(self._root, "val", classes, Counter())


@cache
def _imagenet_names() -> dict[str, str]:
    """The first description of each class of ImageNet-1k by WNID, in the order of the outputs."""
    from timm.data import ImageNetInfo  # timm takes seconds to load

    known = ImageNetInfo("imagenet-1k")
    return {wnid: known.label_name_to_description(wnid).split(", ")[0] for wnid in known.label_names()}


def _is_wnid(name: str) -> bool:
    return len(name) == 9 and name[0] == "n" and name[1:].isdigit()
