"""What a labeling must provide, and the soft-label loss that static and dynamic labels share."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax, softmax

from infer.store import Artefact
from infer.training.objectives import Objective


class Labels(Protocol):
    """The targets of a training set, as an objective for the training loop."""

    mode: str
    """hard, static or dynamic."""
    label_bytes: int
    """What they cost to store."""

    @property
    def student_settings(self) -> Mapping[str, Any]:
        """What the targets depend on, besides ``parents``, for a student's signature."""

    @property
    def parents(self) -> Mapping[str, Artefact]:
        """The artefacts that they are read from or made by."""

    def objective(self, device: torch.device) -> Objective:
        """The loss of a student's logits, with everything it needs on ``device``."""


def soft_label_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL(softmax(teacher/T) ‖ softmax(student/T)) of logits [B, C], averaged over the batch, not multiplied by T².

    As in UFC's val_static.py and val_dyn.py.
    """
    return kl_div(
        log_softmax(student / temperature, dim=1),
        softmax(teacher / temperature, dim=1),
        reduction="batchmean",
    )
