"""MixUp (Zhang et al., 2018) and CutMix (Yun et al., 2019): a batch mixed with a permutation of itself."""

import math

import numpy as np
import torch
from torch import Tensor

Box = tuple[int, int, int, int]
"""First row, first column, end row, end column: ``image[:, top:bottom, left:right]``; may be empty."""


def draw_weights(rng: np.random.Generator, batches: int, alpha: float) -> list[float]:
    """One weight per batch from Beta(alpha, alpha)."""
    weights: list[float] = rng.beta(alpha, alpha, size=batches).tolist()
    return weights


def draw_partners(rng: np.random.Generator, batch_sizes: list[int]) -> np.ndarray:
    """Partner of every image, as its position within the same batch; an image may be its own partner."""
    return np.concatenate([rng.permutation(size) for size in batch_sizes])


def draw_boxes(rng: np.random.Generator, weights: list[float], size: tuple[int, int]) -> list[Box]:
    """CutMix's box for each weight, with 1 - weight of the area of an image of ``size`` (H, W), around a random pixel.

    As in the published code, boxes are cut off at the edge and may then be smaller.
    """
    height, width = size
    rows, columns = rng.integers(0, height, len(weights)), rng.integers(0, width, len(weights))
    boxes = []
    for weight, row, column in zip(weights, rows.tolist(), columns.tolist(), strict=True):
        (top, bottom), (left, right) = _interval(row, height, weight), _interval(column, width, weight)
        boxes.append((top, left, bottom, right))
    return boxes


def share_kept(box: Box, size: tuple[int, int]) -> float:
    """Share of the area of an image of ``size`` (H, W) that lies outside ``box``."""
    top, left, bottom, right = box
    return 1 - (bottom - top) * (right - left) / (size[0] * size[1])


def mix(images: Tensor, partner: Tensor, weight: float) -> Tensor:
    """``weight`` · images + (1 - ``weight``) · images[partner]."""
    return torch.lerp(images[partner], images, weight)


def mix_labels(labels: Tensor, index: Tensor, partner: Tensor | None, weight: float) -> Tensor:
    """Rows ``index`` of ``labels`` [N, C], mixed with the rows ``partner`` as their images are: [B, C].

    The labels are mixed linearly, as logits where they are logits. For CutMix ``weight`` is the share of the area.
    """
    own = labels[index]
    return own if partner is None else weight * own + (1 - weight) * labels[partner]


def cut_and_paste(images: Tensor, partner: Tensor, box: Box) -> Tensor:
    """``images`` [B, 3, H, W] with ``box`` replaced by that of ``images[partner]``, in place."""
    top, left, bottom, right = box
    images[:, :, top:bottom, left:right] = images[partner, :, top:bottom, left:right]
    return images


def _interval(middle: int, length: int, weight: float) -> tuple[int, int]:
    half = int(length * math.sqrt(1 - weight)) // 2
    return max(middle - half, 0), min(middle + half, length)
