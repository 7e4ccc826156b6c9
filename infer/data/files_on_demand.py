"""Image files that are decoded each time they are used, as squares of one size or at their original size."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from infer.data.decode import Resizing, decode_images
from infer.data.on_demand import OnDemand
from infer.errors import UsageError


class FilesOnDemand(OnDemand):
    """Images uint8 of ``size`` x ``size`` pixels, decoded by ``threads`` threads each time they are used."""

    def __init__(self, root: Path, paths: Sequence[str], size: int, resizing: Resizing | None, threads: int) -> None:
        super().__init__(len(paths), size, torch.uint8)
        self._root, self._paths = root, paths
        self._resizing, self._threads = resizing, threads

    def load(self, rows: Tensor) -> Tensor:
        """Decode the files ``rows``. Raises UsageError for a file that cannot be read or has another size."""
        paths = [self._root / self._paths[row] for row in rows.tolist()]
        images = torch.empty(len(paths), *self.shape[1:], dtype=torch.uint8)
        with closing(decode_images(paths, self._resizing, self._threads)) as decoder:
            for row, path, image in zip(images.numpy(), paths, decoder, strict=True):
                if image.pixels.shape[:2] != self.shape[2:]:
                    height, width = image.pixels.shape[:2]
                    raise UsageError(f"{path} is {width}x{height} pixels now, not {self.shape[3]}x{self.shape[2]}")
                row[:] = image.pixels.transpose(2, 0, 1)
        return images


class Originals:
    """Images at the size and shape of their files, decoded by ``threads`` threads each time they are used."""

    def __init__(self, paths: Sequence[Path], threads: int) -> None:
        self._paths, self._threads = paths, threads

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, rows: Tensor) -> list[Tensor]:
        """The images ``rows``, int64 [n], each uint8 [3, H, W]. Raises UsageError for a file that cannot be read."""
        with closing(decode_images(self._listed(rows), None, self._threads)) as decoder:
            return [torch.from_numpy(image.pixels.transpose(2, 0, 1).copy()) for image in decoder]

    def only(self, rows: Tensor) -> Self:
        """The images ``rows``, int64 [n], in that order; they are not decoded yet."""
        return type(self)(self._listed(rows), self._threads)

    def _listed(self, rows: Tensor) -> list[Path]:
        return [self._paths[row] for row in rows.tolist()]
