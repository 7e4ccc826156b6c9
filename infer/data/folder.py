"""Any tree of image files as a data set: ``train/`` and ``test/`` or ``val/`` with one folder per class."""

import logging
import os
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from infer.config.dataset import FolderConfig
from infer.data.base import Facts, Split
from infer.data.decode import decode_images, read_size
from infer.data.listing import ImageFile, list_tree
from infer.data.measure import cached_facts, channel_statistics, fingerprint
from infer.data.paths import expand
from infer.errors import UsageError

log = logging.getLogger(__name__)


@dataclass
class _Decoded:
    """A split with what its fingerprint is made of and how many of its images were not RGB, by kind."""

    split: Split
    contents: list[bytes] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)


class Folder:
    """Images of one square size, or brought to it by ``resize``; classes follow the sorted folder names."""

    def __init__(self, config: FolderConfig, threads: int) -> None:
        self._config = config
        self._threads = threads
        self._root = expand(config.root)
        self._listing = list_tree(self._root)
        self._just_read: dict[str, Split] = {}

    def facts(self, cache_dir: Path) -> Facts:
        """The facts, measured once per state of the files: path, size and time of change of each.

        Raises UsageError for an unreadable image and for images that are not squares of one size.
        """
        config, splits = self._config, self._listing.splits
        state = {name: [[file.path, file.size, file.mtime_ns] for file in files] for name, files in splits.items()}
        key = [config.name, str(self._root), config.resize, config.mean, config.std, state]
        return cached_facts(cache_dir, key, self._measure)

    def split(self, name: str) -> Split:
        """The split ``train`` or ``test``, decoded. Raises UsageError as ``facts`` does."""
        return self._just_read.pop(name, None) or self._decode(name).split

    def _measure(self) -> Facts:
        splits, classes = self._listing.splits, self._listing.classes
        log.info("Measuring %d image files in %s; what is found is kept", sum(map(len, splits.values())), self._root)
        decoded = {name: self._decode(name) for name in splits}
        self._just_read = {name: part.split for name, part in decoded.items()}
        train = decoded["train"].split
        mean, std = self._mean_std(train.images)
        size = train.images.shape[-1]
        kinds = sum((part.kinds for part in decoded.values()), Counter())
        contents = [item for part in decoded.values() for item in part.contents]
        return Facts(
            name=self._config.name,
            classes=classes,
            mean=mean,
            std=std,
            image_size=size,
            train_counts=torch.bincount(train.targets, minlength=len(classes)).tolist(),
            fingerprint=fingerprint(contents, classes, size, mean, std),
            notes=[*self._listing.notes, *_conversion_note(kinds)],
        )

    def _mean_std(self, images: torch.Tensor) -> tuple[list[float], list[float]]:
        if self._config.mean is not None and self._config.std is not None:
            return self._config.mean, self._config.std
        mean, std = channel_statistics(images)
        if min(std) == 0:
            raise UsageError(
                f"the training images in {self._root} have a channel of one constant value (std={std}) that "
                "cannot be normalised: check the images, or give dataset.mean and dataset.std"
            )
        return mean, std

    def _decode(self, name: str) -> _Decoded:
        files, size = self._listing.splits[name], self._image_size()
        self._check_memory(len(files), size)
        images = torch.empty(len(files), 3, size, size, dtype=torch.uint8)
        decoded = _Decoded(Split(images, torch.tensor([file.target for file in files])))
        paths = [self._root / file.path for file in files]
        # Closed at once on an error, or the threads would go on decoding while the error is shown.
        with closing(decode_images(paths, self._config.resize, self._threads)) as decoder:
            for row, file, image in zip(images.numpy(), files, decoder, strict=True):
                self._check_size(file, image.pixels, size)
                row[:] = image.pixels.transpose(2, 0, 1)
                decoded.contents += [os.fsencode(file.path), image.sha256]
                decoded.kinds.update([image.kind] if image.kind else [])
        return decoded

    def _check_size(self, file: ImageFile, pixels: np.ndarray, size: int) -> None:
        height, width = pixels.shape[:2]
        if (height, width) != (size, size):
            first = self._listing.splits["train"][0].path
            raise _not_one_square(f"{first} is {size}x{size} pixels and {file.path} is {width}x{height}", size)

    def _image_size(self) -> int:
        """Side of the images in pixels: ``resize``, else that of the first training image."""
        if self._config.resize is not None:
            return self._config.resize
        first = self._listing.splits["train"][0]
        width, height = read_size(self._root / first.path)
        if width != height:
            raise _not_one_square(f"{first.path} is {width}x{height} pixels", min(width, height))
        return width

    def _check_memory(self, num_images: int, size: int) -> None:
        """Refuse what cannot be held, before hours of decoding end with the process killed."""
        needed = num_images * 3 * size**2
        present = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if needed > present:
            raise UsageError(
                f"{num_images} images of {size}x{size} pixels in {self._root} take {needed / 2**30:.0f} GiB, and "
                f"this machine has {present / 2**30:.0f} GiB of memory: set a smaller dataset.resize, or use fewer"
            )


def _not_one_square(found: str, side: int) -> UsageError:
    return UsageError(
        f"{found}, but without dataset.resize all images must be squares of one size. Add for example "
        f"dataset.resize={side} (shorter side to {side} pixels, then a centre crop)"
    )


def _conversion_note(kinds: Counter[str]) -> list[str]:
    if not kinds:
        return []
    *most, last = [f"{count} {kind}" for kind, count in sorted(kinds.items())]
    told = f"{', '.join(most)} and {last}" if most else last
    return [f"{told} image{'s were' if kinds.total() > 1 else ' was'} converted to RGB"]
