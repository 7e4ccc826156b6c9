"""Between stored bytes and the normalised images that networks see: normalising, composing, rounding compensators.

Shapes: K natural subsets of C classes, M teachers, images of 3 channels, H rows, W columns.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

_INT8_MAX = 127


def channelwise(values: Sequence[float], dtype: torch.dtype = torch.float32) -> Tensor:
    """``values`` [3] as a tensor [3, 1, 1] that broadcasts over images."""
    return torch.tensor(values, dtype=dtype).view(3, 1, 1)


def normalise(
    pixels: Tensor, mean: Sequence[float], std: Sequence[float], dtype: torch.dtype = torch.float32
) -> Tensor:
    """uint8 pixels [..., 3, H, W] as (pixel / 255 - mean) / std."""
    return (pixels.to(dtype) / 255 - channelwise(mean, dtype)) / channelwise(std, dtype)


def to_bytes(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Normalised images [..., 3, H, W] as the nearest uint8 pixels; what lies outside is clipped."""
    levels = (images * channelwise(std, images.dtype) + channelwise(mean, images.dtype)) * 255
    return levels.round().clamp(0, 255).to(torch.uint8)


def valid_range(mean: Sequence[float], std: Sequence[float]) -> tuple[Tensor, Tensor]:
    """The normalised values of black and of full brightness, [3, 1, 1] each."""
    return (0 - channelwise(mean)) / channelwise(std), (1 - channelwise(mean)) / channelwise(std)


def compose(natural: Tensor, compensators: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """The images that a student sees, in normalised units: float32 [K·(M+1)·C, 3, H, W].

    ``natural`` is uint8 [K, C, 3, H, W], ``compensators`` float32 [M, K, 3, H, W] in normalised units. Subset k runs
    slowest, then the block (0: P_k as it is, m+1: P_k plus the compensator of teacher m), then the class. Sums are
    clipped to the valid range and not quantised again. The published code clips in every iteration a copy that the
    optimiser never sees, and saves a JPEG of the last one (ufc_cifar.py:116); the images agree but for JPEG's loss.
    """
    real = normalise(natural, mean, std)
    low, high = valid_range(mean, std)
    compensated = (real.unsqueeze(1) + compensators.transpose(0, 1).unsqueeze(2)).clamp(low, high)
    return torch.cat([real.unsqueeze(1), compensated], dim=1).flatten(0, 2)


def composed_targets(subsets: int, blocks: int, classes: int) -> Tensor:
    """The classes of the composed images in their order: int64 [K·blocks·C]."""
    return torch.arange(classes).repeat(subsets * blocks)


def round_compensators(compensators: Tensor, dtype: str) -> dict[str, Tensor]:
    """``compensators`` float32 [..., 3, H, W] as they are stored: ``compensators`` and, for int8, ``scales`` [..., 3].

    int8 spans ±127 times a scale per compensator and channel, so that the largest value is kept exactly.
    """
    if dtype != "int8":
        return {"compensators": compensators.to(getattr(torch, dtype))}
    scales = compensators.abs().amax(dim=(-2, -1)) / _INT8_MAX
    steps = compensators / scales.clamp_min(torch.finfo(torch.float32).tiny)[..., None, None]
    return {"compensators": steps.round().to(torch.int8), "scales": scales}


def unround_compensators(stored: dict[str, Tensor]) -> Tensor:
    """float32 compensators [..., 3, H, W] from what ``round_compensators`` gave."""
    values = stored["compensators"].float()
    return values * stored["scales"][..., None, None] if "scales" in stored else values
