"""Dynamic labels: the teachers label every augmented and mixed batch while the student trains."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from infer.context import Context
from infer.labels.base import SoftLabelLoss
from infer.labels.ensemble import Ensemble
from infer.stages.squeeze import Teacher
from infer.store import Artefact
from infer.training.batches import Batch
from infer.training.images import Units
from infer.training.objectives import Objective


class DynamicLabels:
    """The mean of the teachers' logits on what the student sees; nothing is stored, but the teachers must be there."""

    mode = "dynamic"
    label_bytes = 0
    draws = None
    overrides: Mapping[str, Any] = {}

    def __init__(self, context: Context, teachers: list[Teacher], loss: SoftLabelLoss) -> None:
        self._teachers = teachers
        self._ensemble = Ensemble(context, teachers)
        self._loss = loss

    @property
    def student_settings(self) -> Mapping[str, Any]:
        return {"labels": "dynamic", **self._loss.settings, **self._ensemble.settings}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {f"teacher/{number}": teacher for number, teacher in enumerate(self._teachers)}

    def objective(self, device: torch.device, units: Units) -> Objective:
        teachers_logits = self._ensemble.labeller(units)

        def objective(student: Tensor, batch: Batch) -> Tensor:
            return self._loss(student, teachers_logits(batch.images))

        return objective
