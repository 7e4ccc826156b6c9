"""Reads stored logits batch by batch, in the order in which students see them."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

EPOCHS_PER_CHUNK = 10


class LogitsChunk(Protocol):
    """The logits of ``EPOCHS_PER_CHUNK`` consecutive epochs, or of those that are left."""

    def tensors(self) -> dict[str, Tensor]:
        """``logits`` float16 or float32 [epochs, shown, C]; pruned: [epochs, shown, k] and ``classes`` of the same
        shape."""


class FkdReader:
    """Reads the stored logits of one epoch after the other; one chunk at a time is on ``device``."""

    def __init__(self, chunks: Sequence[LogitsChunk], device: torch.device) -> None:
        self._chunks = chunks
        self._device = device
        self._loaded: tuple[int, dict[str, Tensor]] = (-1, {})

    def rows(self, epoch: int, rows: slice) -> tuple[Tensor, Tensor | None]:
        """Logits and, where they are pruned, their classes, of the images in ``rows`` of the order of ``epoch``."""
        number, within = divmod(epoch, EPOCHS_PER_CHUNK)
        if self._loaded[0] != number:
            tensors = self._chunks[number].tensors()
            self._loaded = number, {name: tensor.to(self._device) for name, tensor in tensors.items()}
        tensors = self._loaded[1]
        classes = tensors["classes"][within, rows] if "classes" in tensors else None
        return tensors["logits"][within, rows], classes


def dense_logits(logits: Tensor, classes: Tensor | None, num_classes: int) -> Tensor:
    """Float32 logits of all classes [B, C]: -inf, which softmax makes zero, where none was stored."""
    if classes is None:
        return logits.float()
    dense = torch.full((len(logits), num_classes), -torch.inf, device=logits.device)
    return dense.scatter_(1, classes.long(), logits.float())
