"""Splits of a tree of image files: decoded once and held, or decoded on demand where they do not fit in memory."""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from infer.data.base import Split
from infer.data.decode import DecodedImage, Resizing, decode_images
from infer.data.files_on_demand import FilesOnDemand, Originals
from infer.data.listing import ImageFile, Listing
from infer.data.on_demand import Pixels
from infer.errors import UsageError
from infer.ranges import consecutive

log = logging.getLogger(__name__)

# Files decoded together: results that are ahead of their reader have to be held.
_BLOCK = 1024
# Share of the memory that one split may take; training copies what is held.
_HELD_SHARE = 1 / 3


@dataclass(frozen=True)
class Contents:
    """Digests and colour modes of a decoded split."""

    digests: list[bytes]
    """Path and SHA-256 of every file, one after the other."""
    kinds: Counter[str]
    """Counts of images that were not RGB, by kind."""


class Tree:
    """Square images of ``size`` pixels along an edge, by themselves or after ``resizing``."""

    def __init__(
        self, root: Path, listing: Listing, size: int, resizing: Resizing | None, in_memory: bool | None, threads: int
    ) -> None:
        """``in_memory``: hold splits; None: those that take at most a third of this machine's memory."""
        self._root, self._listing = root, listing
        self._size, self._resizing = size, resizing
        self._in_memory, self._threads = in_memory, threads

    def split(self, name: str) -> Split:
        """The split ``train`` or ``test``. Raises UsageError for images that cannot be read or are not squares of one
        size: at once for a split that is held, else at their use."""
        return self.examined(name)[0] if self._is_held(name) else self._on_demand(name)

    def examined(self, name: str) -> tuple[Split, Contents]:
        """The split and its contents: every file is decoded now, whether or not it is held. Raises as ``split``."""
        files, contents = self._listing.splits[name], Contents([], Counter())
        held = np.empty((len(files), 3, self._size, self._size), dtype=np.uint8) if self._is_held(name) else None
        for row, (file, image) in enumerate(self._decoded(files)):
            self._check_size(file, image)
            if held is not None:
                held[row] = image.pixels.transpose(2, 0, 1)
            contents.digests.extend((os.fsencode(file.path), image.sha256))
            contents.kinds.update([image.kind] if image.kind else [])
        split = self._on_demand(name) if held is None else self._split(name, torch.from_numpy(held))
        return split, contents

    def _on_demand(self, name: str) -> Split:
        files = self._listing.splits[name]
        log.info("The %s split (%.0f GiB) is decoded while it is used", name, self._bytes(name) / 2**30)
        images = FilesOnDemand(self._root, [file.path for file in files], self._size, self._resizing, self._threads)
        return self._split(name, images)

    def _split(self, name: str, images: Pixels) -> Split:
        files = self._listing.splits[name]
        paths = [self._root / file.path for file in files]
        return Split(images, _targets(files), Originals(paths, self._threads) if self._resizing else None)

    def _decoded(self, files: list[ImageFile]) -> Iterator[tuple[ImageFile, DecodedImage]]:
        for block in consecutive(len(files), _BLOCK):
            listed = files[block.start : block.stop]
            paths = [self._root / file.path for file in listed]
            # Closed at once on an error, or the threads would go on decoding while the error is shown.
            with closing(decode_images(paths, self._resizing, self._threads)) as decoder:
                yield from zip(listed, decoder, strict=True)

    def _check_size(self, file: ImageFile, image: DecodedImage) -> None:
        height, width = image.pixels.shape[:2]
        if (height, width) != (self._size, self._size):
            first = self._listing.splits["train"][0].path
            told = f"{first} is {self._size}x{self._size} pixels and {file.path} is {width}x{height}"
            raise not_one_square(told, self._size)

    def _is_held(self, name: str) -> bool:
        needed = self._bytes(name)
        present = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if self._in_memory and needed > present:
            raise UsageError(
                f"dataset.in_memory=true, but the {name} split of {self._root} takes {needed / 2**30:.0f} GiB and this "
                f"machine has {present / 2**30:.0f} GiB of memory. Type dataset.in_memory=null, or a smaller size"
            )
        return needed <= _HELD_SHARE * present if self._in_memory is None else self._in_memory

    def _bytes(self, name: str) -> int:
        """Memory that the split takes when it is held."""
        return len(self._listing.splits[name]) * 3 * self._size**2


def not_one_square(found: str, side: int) -> UsageError:
    """The error for images of several shapes; ``found`` says which, ``side`` is a size to propose in pixels."""
    return UsageError(
        f"{found}, but without dataset.resize all images must be squares of one size. Add for example "
        f"dataset.resize={side} (shorter side to {side} pixels, then a centre crop)"
    )


def _targets(files: list[ImageFile]) -> torch.Tensor:
    return torch.tensor([file.target for file in files])
