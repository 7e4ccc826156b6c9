"""Soft labels: logits or probabilities in files, logits in a loss.

The labels of DD-Ranking, MTT and DATM are logits, which their losses put through a softmax; other sets hold
probabilities. The values of a file tell which it holds: rows of probabilities have no negative entry and sum to one.
"""

import torch
from torch import Tensor

from infer.errors import UsageError

_LEAST = 1e-30
"""Least probability: a logit that is mixed with others has to be finite."""
_SUM_TOLERANCE = 1e-2
"""Tolerance of a row's sum of probabilities: bfloat16 rounds each to a part in 256."""


def are_probabilities(soft_labels: Tensor) -> bool:
    """True if the rows of ``soft_labels`` [N, C] are probabilities rather than logits."""
    sums = soft_labels.double().sum(dim=1)
    return bool((soft_labels >= 0).all() and torch.allclose(sums, torch.ones_like(sums), atol=_SUM_TOLERANCE))


def as_logits(soft_labels: Tensor) -> Tensor:
    """Logits float32 [N, C]; probabilities become their logarithms, of which softmax at T = 1 is the inverse."""
    values = soft_labels.float()
    return values.clamp(min=_LEAST).log() if are_probabilities(soft_labels) else values


def require_soft_labels(soft_labels: Tensor, num_images: int, num_classes: int, source: object) -> None:
    """Raise UsageError unless these are finite logits, or probabilities, of so many images and classes."""
    if list(soft_labels.shape) != [num_images, num_classes]:
        raise UsageError(
            f"{source} has soft labels {list(soft_labels.shape)}, and its images need [{num_images}, {num_classes}]"
        )
    if not soft_labels.isfinite().all():
        raise UsageError(f"{source} has soft labels that are not finite: they are no logits and no probabilities")
