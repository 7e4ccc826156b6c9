"""Image files decoded on demand: as squares of one size, or as they are."""

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
    """uint8 images of ``size`` pixels along an edge, decoded by ``threads`` threads at every use."""

    def __init__(self, root: Path, paths: Sequence[str], size: int, resizing: Resizing | None, threads: int) -> None:
        super().__init__(len(paths), size, torch.uint8)
        self._root, self._paths = root, paths
        self._resizing, self._threads = resizing, threads

    def load(self, rows: Tensor) -> Tensor:
        """Decode the files ``rows``. Raises UsageError for one that cannot be read or has an image of another size."""
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
    """Images as their files hold them, of any size and shape, decoded by ``threads`` threads at every use."""

    def __init__(self, paths: Sequence[Path], threads: int) -> None:
        self._paths, self._threads = paths, threads

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, rows: Tensor) -> list[Tensor]:
        """The images of int64 indices [n], uint8 [3, H, W] each. Raises UsageError for a file that cannot be read."""
        with closing(decode_images(self._listed(rows), None, self._threads)) as decoder:
            return [torch.from_numpy(image.pixels.transpose(2, 0, 1).copy()) for image in decoder]

    def only(self, rows: Tensor) -> Self:
        """The images ``rows``, int64 [n], in that order; none of them is decoded yet."""
        return type(self)(self._listed(rows), self._threads)

    def _listed(self, rows: Tensor) -> list[Path]:
        return [self._paths[row] for row in rows.tolist()]
