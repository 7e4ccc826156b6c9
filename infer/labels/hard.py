"""Hard labels: the class of each image."""

from collections.abc import Mapping
from typing import Any

import torch

from infer.labels.base import Labels
from infer.methods.budget import HARD_LABEL_BYTES
from infer.methods.sets.base import TrainingSet
from infer.normalisation import Normalisation
from infer.store import Artefact
from infer.training.objectives import Objective, hard_label_objective


class HardLabels(Labels):
    """Cross-entropy with the class of each image; the loss of a mixed image is weighted between both classes."""

    mode = "hard"

    def __init__(self, images: TrainingSet, label_smoothing: float) -> None:
        self._images = images
        self._label_smoothing = label_smoothing
        self.label_bytes = images.stored_images * HARD_LABEL_BYTES

    @property
    def student_settings(self) -> Mapping[str, Any]:
        return {"labels": "hard", "label_smoothing": self._label_smoothing}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {}

    def objective(self, device: torch.device, normalisation: Normalisation) -> Objective:
        return hard_label_objective(self._images.targets(), self._label_smoothing, device)
