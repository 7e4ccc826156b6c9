"""Dynamic labels: the teachers label every augmented and mixed batch during the student's training."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from infer.context import Context
from infer.labels.base import Labels, SoftLabelLoss
from infer.labels.ensemble import Ensemble
from infer.normalisation import Normalisation
from infer.store import Artefact
from infer.teachers.teacher import Teacher
from infer.training.batches import Batch
from infer.training.objectives import Objective
from infer.training.plan import Plan
from infer.work import Passes


class DynamicLabels(Labels):
    """Mean of the teachers' logits on each batch. No labels are stored, but training needs the teachers."""

    mode = "dynamic"
    label_bytes = 0

    def __init__(self, context: Context, teachers: list[Teacher], loss: SoftLabelLoss) -> None:
        self._ensemble = Ensemble(context, teachers)
        self._loss = loss

    @property
    def student_settings(self) -> Mapping[str, Any]:
        return {"labels": "dynamic", **self._loss.settings, **self._ensemble.settings}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return self._ensemble.parents

    def passes(self, plan: Plan) -> list[Passes]:
        return self._ensemble.passes(plan.samples_seen, plan.largest_part)

    def objective(self, device: torch.device, normalisation: Normalisation) -> Objective:
        teachers_logits = self._ensemble.labeller(normalisation)

        def objective(student: Tensor, batch: Batch) -> Tensor:
            return self._loss(student, teachers_logits(batch.images))

        return objective
