"""MixUp (Zhang et al., 2018): convex combinations of a batch with a permutation of itself."""

import numpy as np
import torch
from torch import Tensor


def draw_weights(rng: np.random.Generator, batches: int, alpha: float) -> list[float]:
    """One weight per batch from Beta(alpha, alpha)."""
    return rng.beta(alpha, alpha, size=batches).tolist()


def draw_partners(rng: np.random.Generator, batch_sizes: list[int]) -> np.ndarray:
    """For every row of every batch the row of the same batch to mix it with; an image may meet itself."""
    return np.concatenate([rng.permutation(size) for size in batch_sizes])


def mix(images: Tensor, partner: Tensor, weight: float) -> Tensor:
    """``weight`` · images + (1 - ``weight``) · images[partner]."""
    return torch.lerp(images[partner], images, weight)
