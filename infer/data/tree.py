"""Splits of a tree of image files: decoded once and kept in memory, or decoded on demand where they do not fit."""

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

_BLOCK = 1024
"""Number of files that are decoded together; it limits the images that are decoded but not yet used."""
_HELD_SHARE = 1 / 3
"""Largest fraction of the memory for one split that is kept in memory; training makes a copy of it."""


@dataclass(frozen=True)
class Contents:
    """Digests and colour modes of the files of a split."""

    digests: list[bytes]
    """Path and SHA-256 of the first file, of the second, and so on."""
    kinds: Counter[str]
    """Number of images that were not RGB, by kind."""


class Tree:
    """Images of ``size`` x ``size`` pixels, which the files contain or which ``resizing`` makes of them."""

    def __init__(
        self, root: Path, listing: Listing, size: int, resizing: Resizing | None, in_memory: bool | None, threads: int
    ) -> None:
        """``in_memory``: True to keep splits in memory, False to decode images when they are used, None to keep a split
        in memory where it takes at most a third of this machine's memory."""
        self._root, self._listing = root, listing
        self._size, self._resizing = size, resizing
        self._in_memory, self._threads = in_memory, threads

    def split(self, name: str) -> Split:
        """The split ``train`` or ``test``.

        Raises UsageError for images that cannot be read or are not squares of one size; where the split is not kept in
        memory, it is raised only when they are used.
        """
        return self.examined(name)[0] if self._is_held(name) else self._on_demand(name)

    def examined(self, name: str) -> tuple[Split, Contents]:
        """The split and its contents, for which every file is decoded now. Raises UsageError as ``split`` does."""
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
            # Without closing, the threads would continue to decode after an error.
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
        """Size of the split in memory, in bytes."""
        return len(self._listing.splits[name]) * 3 * self._size**2


def not_one_square(found: str, side: int) -> UsageError:
    """The error for images of several shapes. ``found`` describes them; ``side`` is the size in pixels to propose."""
    return UsageError(
        f"{found}, but without dataset.resize all images must be squares of one size. Add for example "
        f"dataset.resize={side} (shorter side to {side} pixels, then a centre crop)"
    )


def _targets(files: list[ImageFile]) -> torch.Tensor:
    return torch.tensor([file.target for file in files])
