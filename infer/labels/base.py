"""What a labeling must provide, and the loss that all soft labels share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax, softmax

from infer.methods.base import TrainingSet
from infer.store import Artefact
from infer.training.draws import Draws
from infer.training.images import Units
from infer.training.objectives import Objective


class Labels(Protocol):
    """The targets of a training set, as an objective for the training loop."""

    mode: str
    """hard, static, dynamic or fkd."""
    label_bytes: int
    """What they cost to store."""
    overrides: Mapping[str, Any]
    """Settings of the protocol that the targets decide on in its place, by name; none where they fit any."""

    @property
    def student_settings(self) -> Mapping[str, Any]:
        """What the targets depend on, besides ``parents``, for a student's signature."""

    @property
    def parents(self) -> Mapping[str, Artefact]:
        """The artefacts that they are read from or made by."""

    @property
    def draws(self) -> Draws | None:
        """The draws that a student has to use, where the targets are bound to them."""

    def objective(self, device: torch.device, units: Units) -> Objective:
        """The loss of the logits of a student that sees images in ``units``, with everything it needs on ``device``."""


@dataclass(frozen=True)
class SoftLabelLoss:
    """KL(softmax(teacher/T) ‖ softmax(student/T)) of logits [B, C], averaged over the batch.

    Multiplied by T² only on demand, as UFC's val_static.py and val_dyn.py do not. A class to which the teacher gives a
    logit of -inf has no part in it.
    """

    temperature: float
    times_t2: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """For a student's signature."""
        return {"temperature": self.temperature} | ({"times_t2": True} if self.times_t2 else {})

    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        loss = kl_div(
            log_softmax(student / self.temperature, dim=1),
            softmax(teacher / self.temperature, dim=1),
            reduction="batchmean",
        )
        return loss * self.temperature**2 if self.times_t2 else loss


def artefacts_of(role: str, source: TrainingSet | Labels) -> dict[str, Artefact]:
    """``source`` itself where it is stored, else what it is made from."""
    return {role: source} if isinstance(source, Artefact) else dict(source.parents)
