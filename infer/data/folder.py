"""Trees of image files as data sets: ``train/`` and ``test/`` or ``val/``, with one folder per class."""

import logging
from collections import Counter
from functools import cached_property
from pathlib import Path

import torch
from torchvision.transforms import InterpolationMode

from infer.config.dataset import FolderConfig
from infer.data.base import Facts, Split
from infer.data.decode import Resizing, read_size
from infer.data.listing import list_tree
from infer.data.measure import cached_facts, channel_statistics, fingerprint
from infer.data.on_demand import Pixels
from infer.data.paths import expand
from infer.data.tree import Tree, not_one_square
from infer.errors import UsageError

log = logging.getLogger(__name__)


class Folder:
    """Square images of one size, or images of any size that ``resize`` converts to it. Classes are sorted by folder
    name."""

    def __init__(self, config: FolderConfig, threads: int) -> None:
        self._config = config
        self._threads = threads
        self._root = expand(config.root)
        self._listing = list_tree(self._root)
        self._just_read: dict[str, Split] = {}

    def facts(self, cache_dir: Path) -> Facts:
        """The facts, measured again only if the path or the state of a file changes.

        Raises UsageError for an unreadable image and for images that are not squares of one size.
        """
        config = self._config
        key = [config.name, str(self._root), config.resize, config.mean, config.std, self._listing.state]
        return cached_facts(cache_dir, key, self._measure)

    @property
    def is_resized(self) -> bool:
        """True if ``resize`` is set."""
        return self._config.resize is not None

    def split(self, name: str) -> Split:
        """The split ``train`` or ``test``. Raises UsageError as ``facts`` does."""
        return self._just_read.pop(name, None) or self._tree.split(name)

    def _measure(self) -> Facts:
        splits, classes = self._listing.splits, self._listing.classes
        log.info("Measuring %d image files in %s; the results are kept", sum(map(len, splits.values())), self._root)
        examined = {name: self._tree.examined(name) for name in splits}
        self._just_read = {name: split for name, (split, _) in examined.items()}
        train = self._just_read["train"]
        mean, std = self._mean_std(train.images)
        size = train.images.shape[-1]
        kinds = sum((contents.kinds for _, contents in examined.values()), Counter())
        digests = [digest for _, contents in examined.values() for digest in contents.digests]
        return Facts(
            name=self._config.name,
            classes=classes,
            mean=mean,
            std=std,
            image_size=size,
            train_counts=torch.bincount(train.targets, minlength=len(classes)).tolist(),
            fingerprint=fingerprint(digests, classes, size, mean, std),
            notes=[*self._listing.notes, *_conversion_note(kinds)],
        )

    def _mean_std(self, images: Pixels) -> tuple[list[float], list[float]]:
        if self._config.mean is not None and self._config.std is not None:
            return self._config.mean, self._config.std
        mean, std = channel_statistics(images)
        if min(std) == 0:
            raise UsageError(
                f"the training images in {self._root} have a channel of one constant value (std={std}) that "
                "cannot be normalised: check the images, or give dataset.mean and dataset.std"
            )
        return mean, std

    @cached_property
    def _tree(self) -> Tree:
        size = self._config.resize
        resizing = None if size is None else Resizing(size, size, InterpolationMode.BICUBIC)
        size = size or self._size_of_first()
        return Tree(self._root, self._listing, size, resizing, self._config.in_memory, self._threads)

    def _size_of_first(self) -> int:
        """Edge of the first training image in pixels."""
        first = self._listing.splits["train"][0]
        width, height = read_size(self._root / first.path)
        if width != height:
            raise not_one_square(f"{first.path} is {width}x{height} pixels", min(width, height))
        return width


def _conversion_note(kinds: Counter[str]) -> list[str]:
    if not kinds:
        return []
    *most, last = [f"{count} {kind}" for kind, count in sorted(kinds.items())]
    told = f"{', '.join(most)} and {last}" if most else last
    return [f"{told} image{'s were' if kinds.total() > 1 else ' was'} converted to RGB"]
