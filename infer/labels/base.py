"""Base class of the labels of a training set, and the loss that all soft labels share."""

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
    """Labels of a training set, which provide the objective for the training loop."""

    mode: ClassVar[str]
    """Kind of the labels: hard, static, dynamic or fkd."""
    label_bytes: int
    """Bytes that the labels take in storage."""
    overrides: Mapping[str, Any] = MappingProxyType({})
    """Settings that replace those of the protocol, where the labels belong to batches that were made with them."""

    @property
    @abstractmethod
    def student_settings(self) -> Mapping[str, Any]:
        """Settings that the labels depend on, besides ``parents``, for the signatures of students."""

    @property
    @abstractmethod
    def parents(self) -> Mapping[str, Artefact]:
        """Artefacts that hold the labels, or with which they are made."""

    @property
    def draws(self) -> Draws | None:
        """Random numbers that students must use because the labels belong to them; None: no restriction."""
        return None

    def passes(self, plan: Plan) -> list[Passes]:
        """Passes of images through teachers during the training of a student with ``plan``."""
        return []

    @abstractmethod
    def objective(self, device: torch.device, normalisation: Normalisation) -> Objective:
        """Loss of a student's logits; all tensors that it needs are on ``device``.

        ``normalisation`` is that of the images that the student sees.
        """


@dataclass(frozen=True)
class SoftLabelLoss:
    """KL(softmax(teacher/T) ‖ softmax(student/T)) of logits [B, C], averaged over the batch.

    It is multiplied by T² only with ``times_t2``; UFC's val_static.py and val_dyn.py do not multiply. A class for which
    the teacher's logit is -inf does not contribute.
    """

    temperature: float
    times_t2: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the loss, for the signatures of students."""
        return {"temperature": self.temperature} | ({"times_t2": True} if self.times_t2 else {})

    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        loss = kl_div(
            log_softmax(student / self.temperature, dim=1),
            softmax(teacher / self.temperature, dim=1),
            reduction="batchmean",
        )
        return loss * self.temperature**2 if self.times_t2 else loss


def artefacts_of(role: str, source: TrainingSet | Labels) -> dict[str, Artefact]:
    """``source``, named by its ``role``, where it is an artefact; otherwise the artefacts that it is made from."""
    return {role: source} if isinstance(source, Artefact) else dict(source.parents)
