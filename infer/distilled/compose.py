"""Composed images: natural images plus compensators, all at once or on demand; and the rounding of compensators.

Shapes: K natural subsets of C classes, M teachers, images of 3 channels, H rows, W columns.
"""

import torch
from torch import Tensor

from infer.data.on_demand import OnDemand
from infer.normalisation import Normalisation

_INT8_MAX = 127


def compose(natural: Tensor, compensators: Tensor, normalisation: Normalisation) -> Tensor:
    """The composed images, normalised: float32 [K·(M+1)·C, 3, H, W].

    ``natural`` is uint8 [K, C, 3, H, W], ``compensators`` float32 [M, K, 3, H, W]. Subset k runs
    slowest, then the block (0: P_k as it is, m+1: P_k plus the compensator of teacher m), then the class. Sums are
    clipped to the valid range and not quantised again. The published code clips in every iteration a copy that the
    optimiser never sees, and saves a JPEG of the last one (ufc_cifar.py:116); the images agree but for JPEG's loss.
    """
    real = normalisation.normalise(natural)
    low, high = normalisation.valid_range
    compensated = (real.unsqueeze(1) + compensators.transpose(0, 1).unsqueeze(2)).clamp(low, high)
    return torch.cat([real.unsqueeze(1), compensated], dim=1).flatten(0, 2)


class ComposedOnDemand(OnDemand):
    """The images of ``compose`` for ``natural`` uint8 [K, C, 3, H, W] and ``compensators`` float32 [M, K, 3, H, W], one
    by one, in the memory of its parts."""

    def __init__(self, natural: Tensor, compensators: Tensor, normalisation: Normalisation) -> None:
        self._blocks = len(compensators) + 1
        super().__init__(natural[:, :, 0, 0, 0].numel() * self._blocks, natural.shape[-1], torch.float32)
        self._natural, self._compensators = natural, compensators
        self._normalisation = normalisation

    def load(self, rows: Tensor) -> Tensor:
        """Normalised images, clipped to the valid range."""
        classes = self._natural.shape[1]
        subset, within = rows // (self._blocks * classes), rows % (self._blocks * classes)
        block, target = within // classes, within % classes
        images = self._normalisation.normalise(self._natural[subset, target])
        low, high = self._normalisation.valid_range
        added_to = block > 0
        compensators = self._compensators[block[added_to] - 1, subset[added_to]]
        images[added_to] = (images[added_to] + compensators).clamp(low, high)
        return images


def composed_targets(subsets: int, blocks: int, classes: int) -> Tensor:
    """The classes of the composed images in their order: int64 [K·blocks·C]."""
    return torch.arange(classes).repeat(subsets * blocks)


def round_compensators(compensators: Tensor, dtype: str) -> dict[str, Tensor]:
    """Stored form of ``compensators`` float32 [..., 3, H, W]: ``compensators`` and, for int8, ``scales`` [..., 3].

    int8 values are multiples, up to ±127, of a scale per compensator and channel; the largest value is kept exactly.
    """
    if dtype != "int8":
        return {"compensators": compensators.to(getattr(torch, dtype))}
    scales = compensators.abs().amax(dim=(-2, -1)) / _INT8_MAX
    steps = compensators / scales.clamp_min(torch.finfo(torch.float32).tiny)[..., None, None]
    return {"compensators": steps.round().to(torch.int8), "scales": scales}


def unround_compensators(stored: dict[str, Tensor]) -> Tensor:
    """float32 compensators [..., 3, H, W] from the result of ``round_compensators``."""
    values = stored["compensators"].float()
    return values * stored["scales"][..., None, None] if "scales" in stored else values
