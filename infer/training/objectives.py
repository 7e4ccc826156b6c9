"""Objective of training with hard labels; those for soft labels are in `infer.labels`."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from infer.training.batches import Batch

Objective = Callable[[Tensor, Batch], Tensor]
"""Function from float32 logits [B, classes] and their batch to the mean loss over the batch (a scalar)."""


def hard_label_objective(
    targets: Tensor, label_smoothing: float = 0.0, device: torch.device | str = "cpu"
) -> Objective:
    """Cross-entropy with the classes ``targets``, int64 [N], of the images of the training set.

    The loss of a mixed image is the sum of the losses for both classes, weighted by their shares. ``device`` is that of
    the training.
    """
    targets = targets.to(device)

    def objective(logits: Tensor, batch: Batch) -> Tensor:
        loss = cross_entropy(logits, targets[batch.index], label_smoothing=label_smoothing)
        if batch.partner is None:
            return loss
        other = cross_entropy(logits, targets[batch.partner], label_smoothing=label_smoothing)
        return batch.weight * loss + (1 - batch.weight) * other

    return objective
