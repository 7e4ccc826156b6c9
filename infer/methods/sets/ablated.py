"""Compensators that are changed to study their effect (``method.ablation``)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from infer.distilled.compose import enlarged
from infer.methods.infer import Ablation
from infer.seeds import generator


def ablated(compensators: Tensor, ablation: Ablation, seed: int, arch: str, subsets: range) -> Tensor:
    """``compensators`` [G, ..., 3, h, w], changed as ``ablation`` says.

    They belong to one group of ``subsets`` and the teacher ``arch``. Noise is drawn from (seed, arch, k), so that it
    does not depend on the group.
    """
    match ablation:
        case Ablation.noise:
            return torch.stack([_noise_like(u, seed, arch, k) for u, k in zip(compensators, subsets, strict=True)])
        case Ablation.shuffled:
            return compensators.roll(-1, dims=0)
        case Ablation.low_passed:
            halves = F.avg_pool2d(compensators.flatten(0, -4), 2).unflatten(0, compensators.shape[:-3])
            return enlarged(halves, compensators.shape[-1])
        case Ablation.halved:
            return compensators / 2
        case Ablation.doubled:
            return compensators * 2
        case Ablation.none | Ablation.per_class:
            return compensators


def _noise_like(u: Tensor, seed: int, arch: str, k: int) -> Tensor:
    """Gaussian noise in the shape and with the Euclidean norm of ``u``."""
    noise = torch.from_numpy(generator(seed, "compensator noise", arch, k).standard_normal(u.shape)).to(u.dtype)
    scaled: Tensor = noise * (u.norm() / noise.norm())
    return scaled
