"""Images that are loaded each time they are used, for sets that do not fit in memory."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor


class OnDemand(ABC):
    """Base class of N square images [N, 3, S, S] that are indexed like a tensor and loaded when they are indexed.

    A subclass implements ``load``. Indexing returns images on the device given to ``to``, by default the CPU.
    """

    def __init__(self, count: int, size: int, dtype: torch.dtype) -> None:
        self.shape = torch.Size((count, 3, size, size))
        self.dtype = dtype
        self.device = torch.device("cpu")
        self._rows: Tensor | None = None
        self._change: Callable[[Tensor], Tensor] | None = None

    @abstractmethod
    def load(self, rows: Tensor) -> Tensor:
        """The images ``rows``, int64 [n] on the CPU, as a tensor [n, 3, S, S] on the CPU."""

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        """The images of a slice, or of int64 indices of any shape [...], as a tensor [..., 3, S, S]."""
        index = torch.arange(*rows.indices(len(self))) if isinstance(rows, slice) else rows.cpu()
        flat = index.flatten()
        images: Tensor = self.load(flat if self._rows is None else self._rows[flat])
        if self._change:
            images = self._change(images)
        if self.device.type == "cuda":
            images = images.pin_memory().to(self.device, non_blocking=True)
        shaped: Tensor = images.unflatten(0, index.shape) if index.dim() != 1 else images
        return shaped

    def to(self, device: torch.device | str) -> Self:
        """The same images, returned on ``device`` when they are indexed."""
        return self._but(device=torch.device(device))

    def only(self, rows: Tensor) -> Self:
        """The images ``rows``, int64 [n], in that order; they are not loaded yet."""
        kept = rows if self._rows is None else self._rows[rows]
        return self._but(_rows=kept, shape=torch.Size((len(kept), *self.shape[1:])))

    def changed(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same images, with ``change`` applied on the CPU to every batch that is loaded."""
        before = self._change
        return self._but(_change=change if before is None else lambda images: change(before(images)))

    def _but(self, **different: object) -> Self:
        other = copy.copy(self)
        vars(other).update(different)
        return other


class OnHost(OnDemand):
    """Images of a tensor in the host's memory; only the images that are indexed are copied to a device."""

    def __init__(self, pixels: Tensor) -> None:
        super().__init__(len(pixels), pixels.shape[-1], pixels.dtype)
        self._pixels = pixels

    def load(self, rows: Tensor) -> Tensor:
        """The images ``rows`` of the tensor."""
        return self._pixels[rows]


Pixels = Tensor | OnDemand
"""Images held in memory or loaded on demand."""
