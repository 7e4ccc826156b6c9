"""Dynamic labels: the teachers label every augmented and mixed batch while the student trains."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from infer.labels.base import soft_label_loss
from infer.stages.squeeze import Teacher
from infer.store import Artefact
from infer.training.batches import Batch
from infer.training.objectives import Objective


class DynamicLabels:
    """The mean of the teachers' logits on what the student sees; nothing is stored, but the teachers must be there."""

    mode = "dynamic"
    label_bytes = 0

    def __init__(self, teachers: list[Teacher], temperature: float) -> None:
        self._teachers = teachers
        self._temperature = temperature

    @property
    def student_settings(self) -> Mapping[str, Any]:
        return {"labels": "dynamic", "temperature": self._temperature}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {f"teacher/{number}": teacher for number, teacher in enumerate(self._teachers)}

    def objective(self, device: torch.device) -> Objective:
        networks = [teacher.network().to(device, memory_format=torch.channels_last) for teacher in self._teachers]

        def objective(student: Tensor, batch: Batch) -> Tensor:
            with torch.no_grad():
                targets = torch.stack([network(batch.images).float() for network in networks]).mean(dim=0)
            return soft_label_loss(student, targets, self._temperature)

        return objective
