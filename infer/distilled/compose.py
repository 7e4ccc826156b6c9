"""Composed images: natural images plus compensators, all at once or on demand; rounding of compensators.

Shapes: K natural subsets of C classes, M teachers, images of 3 channels, H rows, W columns. Compensators are
[M, K, 3, h, w], one for all classes of a subset, or [M, K, C, 3, h, w], one per class. Compensators that are smaller
than the images are enlarged.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from infer.data.on_demand import OnDemand
from infer.distilled.codec import EXACT, JPEG, through_jpeg
from infer.errors import UsageError
from infer.normalisation import Normalisation

_INT8_MAX = 127


def compose(natural: Tensor, compensators: Tensor, normalisation: Normalisation, codec: str = EXACT) -> Tensor:
    """The composed images, normalised: float32 [K·(M+1)·C, 3, H, W].

    ``natural`` is uint8 [K, C, 3, H, W]. The order is by subset k, then by block (0: P_k itself, m+1: P_k plus the
    compensator of teacher m), then by class. Sums are clipped to the valid range and not quantised again, except by
    ``codec`` (``decoded``). In every iteration the published code clips a copy that the optimiser does not use, and
    saves the last copy as JPEG (ufc_cifar.py:116).
    """
    real = normalisation.normalise(natural).unsqueeze(1)
    low, high = normalisation.valid_range
    added = enlarged(_per_class(compensators), natural.shape[-1]).transpose(0, 1)
    images = torch.cat([real, (real + added).clamp(low, high)], dim=1).flatten(0, 2)
    return decoded(images, normalisation, codec)


def enlarged(compensators: Tensor, size: int) -> Tensor:
    """Compensators [..., 3, h, h], enlarged to [..., 3, size, size] (bilinear); unchanged where h is ``size``.

    They are enlarged by two matrix products, since the backward of torch's interpolation is not deterministic on a GPU.
    """
    small = compensators.shape[-1]
    if small == size:
        return compensators
    weights: Tensor = F.interpolate(torch.eye(small).unsqueeze(0), size=size, mode="linear")[0].to(compensators)
    return weights.T @ compensators @ weights


def decoded(images: Tensor, normalisation: Normalisation, codec: str) -> Tensor:
    """Composed ``images`` [N, 3, H, W], normalised, after compression and decompression by ``codec``."""
    if codec == EXACT:
        return images
    if codec != JPEG:
        raise UsageError(f"a distilled set has composed_codec={codec!r}; this program knows {EXACT} and {JPEG}")
    return normalisation.normalise(torch.from_numpy(through_jpeg(normalisation.levels(images).numpy())))


class ComposedOnDemand(OnDemand):
    """The images of ``compose``, composed each time they are used, so that only their parts are held in memory.

    Arguments are those of ``compose``.
    """

    def __init__(self, natural: Tensor, compensators: Tensor, normalisation: Normalisation, codec: str = EXACT) -> None:
        self._blocks = len(compensators) + 1
        super().__init__(natural[:, :, 0, 0, 0].numel() * self._blocks, natural.shape[-1], torch.float32)
        self._natural, self._compensators = natural, _per_class(compensators)
        self._normalisation, self._codec = normalisation, codec

    def load(self, rows: Tensor) -> Tensor:
        """The images ``rows``, normalised and clipped to the valid range."""
        classes = self._natural.shape[1]
        subset, within = rows // (self._blocks * classes), rows % (self._blocks * classes)
        block, target = within // classes, within % classes
        images = self._normalisation.normalise(self._natural[subset, target])
        low, high = self._normalisation.valid_range
        added_to = block > 0
        own = target[added_to] % self._compensators.shape[2]  # 0 where one compensator serves all classes
        compensators = enlarged(self._compensators[block[added_to] - 1, subset[added_to], own], self.shape[-1])
        images[added_to] = (images[added_to] + compensators).clamp(low, high)
        return decoded(images, self._normalisation, self._codec)


def _per_class(compensators: Tensor) -> Tensor:
    """Compensators [M, K, 3, h, w] as [M, K, 1, 3, h, w]; [M, K, C, 3, h, w] unchanged."""
    return compensators.unsqueeze(2) if compensators.dim() == 5 else compensators


def composed_targets(subsets: int, blocks: int, classes: int) -> Tensor:
    """Classes of the composed images, in order: int64 [K·blocks·C]."""
    return torch.arange(classes).repeat(subsets * blocks)


def round_compensators(compensators: Tensor, dtype: str) -> dict[str, Tensor]:
    """Stored form of ``compensators`` float32 [..., 3, H, W]: ``compensators`` and, for int8, ``scales`` [..., 3].

    For int8, each compensator and channel has a scale, and values are rounded to multiples of it, from -127 to 127; the
    largest value is exact.
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
