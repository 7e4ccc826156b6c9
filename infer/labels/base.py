"""The contract of a labeling, and the loss that all soft labels share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax, softmax

from infer.methods.sets.base import TrainingSet
from infer.normalisation import Normalisation
from infer.store import Artefact
from infer.training.draws import Draws
from infer.training.objectives import Objective
from infer.training.plan import Plan
from infer.work import Passes


class Labels(ABC):
    """The targets of a training set, as an objective for the training loop."""

    mode: ClassVar[str]
    """hard, static, dynamic or fkd."""
    label_bytes: int
    """Bytes of storage."""
    overrides: Mapping[str, Any] = MappingProxyType({})
    """Settings of the protocol that the labels replace, where they are bound to batches that were made with others."""

    @property
    @abstractmethod
    def student_settings(self) -> Mapping[str, Any]:
        """Settings that the targets depend on, besides ``parents``, for a student's signature."""

    @property
    @abstractmethod
    def parents(self) -> Mapping[str, Artefact]:
        """Artefacts that hold the targets, or that make them."""

    @property
    def draws(self) -> Draws | None:
        """The random numbers that a student has to use, where the targets are bound to them."""
        return None

    def passes(self, plan: Plan) -> list[Passes]:
        """Passes through teachers while a student with ``plan`` trains."""
        return []

    @abstractmethod
    def objective(self, device: torch.device, normalisation: Normalisation) -> Objective:
        """The loss of a student's logits, with everything it needs on ``device``.

        ``normalisation`` is that of the images that the student sees.
        """


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
    """``source`` itself where it is an artefact, else the artefacts that it is made from."""
    return {role: source} if isinstance(source, Artefact) else dict(source.parents)
