"""Soft labels, which are logits or probabilities in files, and logits in losses.

The labels of DD-Ranking, MTT and DATM are logits, to which their losses apply a softmax; other sets hold probabilities.
The two are distinguished by their values: rows of probabilities have no negative entry and sum to one.
"""

import torch
from torch import Tensor

from infer.errors import UsageError

_LEAST_PROBABILITY = 1e-30
"""Smallest probability, so that its logarithm is finite and can be mixed with others."""
_SUM_TOLERANCE = 1e-2
"""Tolerance of the sum of a row of probabilities, since bfloat16 rounds each of them to a part in 256."""


def are_probabilities(soft_labels: Tensor) -> bool:
    """True if the rows of ``soft_labels`` [N, C] are probabilities rather than logits."""
    sums = soft_labels.double().sum(dim=1)
    return bool((soft_labels >= 0).all() and torch.allclose(sums, torch.ones_like(sums), atol=_SUM_TOLERANCE))


def as_logits(soft_labels: Tensor) -> Tensor:
    """Logits float32 [N, C]. Probabilities are converted to their logarithms, which softmax at T = 1 reverses."""
    values = soft_labels.float()
    return values.clamp(min=_LEAST_PROBABILITY).log() if are_probabilities(soft_labels) else values


def require_soft_labels(soft_labels: Tensor, num_images: int, num_classes: int, source: object) -> None:
    """Raise UsageError unless ``soft_labels`` are finite and have the shape [``num_images``, ``num_classes``]."""
    if list(soft_labels.shape) != [num_images, num_classes]:
        raise UsageError(
            f"{source} has soft labels {list(soft_labels.shape)}, and its images need [{num_images}, {num_classes}]"
        )
    if not soft_labels.isfinite().all():
        raise UsageError(f"{source} has soft labels that are not finite: they are neither logits nor probabilities")
