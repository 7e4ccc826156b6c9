"""Soft labels that come with an imported set, used as static labels: one per image, mixed as the images are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from infer.config import Stage
from infer.context import Context
from infer.distilled.soft_labels import are_probabilities, as_logits, require_soft_labels
from infer.errors import UsageError
from infer.labels.base import Labels, SoftLabelLoss
from infer.labels.static import static_label_objective
from infer.methods.sets.base import DistilledArtefact
from infer.methods.sets.imported_set import ImportedSet
from infer.normalisation import Normalisation
from infer.records.names import LABELS, tensor_file
from infer.store import Artefact, Workspace
from infer.store.files import load_tensors, save_tensors
from infer.training.objectives import Objective

_FILE = tensor_file(LABELS)
_BYTES = {"F16": 2, "BF16": 2, "F32": 4, "F64": 8}


class SetLabels(Labels, Artefact):
    """Soft labels of an imported set, stored in the dtype in which they were imported.

    Raises UsageError where the set has no soft labels, or none that fit its images.
    """

    mode = "static"
    kind = "labels"
    stage = Stage.relabel

    def __init__(self, context: Context, images: DistilledArtefact, loss: SoftLabelLoss) -> None:
        if not isinstance(images, ImportedSet):
            raise UsageError(
                "labeling.source=set takes the soft labels of an imported set, and "
                f"method={context.config.method.name} makes a set of its own. Type "
                "method=imported method.path=..., or labeling.source=teachers"
            )
        self._context = context
        self._images = images
        self._loss = loss
        self.label_bytes = self._bytes_stored() if context.store.exists(self) else self._as_they_came().nbytes

    @property
    def name(self) -> str:
        return f"{self._images.name}-static-of-the-set"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"mode": "static", "source": "set", **self._images.soft_label_settings}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {"images": self._images}

    def make(self, workspace: Workspace) -> dict[str, Any]:
        soft_labels, temperature = self._as_they_came(), self._loss.temperature
        probabilities = are_probabilities(soft_labels)
        if probabilities and temperature != 1:
            self._context.console.say(
                f"{self._images.path}: its soft labels are probabilities, and evaluate.temperature={temperature:g} "
                "makes them softer than they are; evaluate.temperature=1 takes them as they are"
            )
        save_tensors(workspace.folder / _FILE, {"logits": soft_labels})
        return {"images": len(soft_labels), "are": "probabilities" if probabilities else "logits"}

    def logits(self) -> Tensor:
        """The labels as logits, float32 [N, C]; probabilities are converted to their logarithms."""
        return as_logits(load_tensors(self._context.folder(self) / _FILE)["logits"])

    @property
    def kind_of_values(self) -> str:
        """Kind of the stored values: ``logits`` or ``probabilities``."""
        return str(self._context.obtain(self)["facts"]["are"])

    @property
    def file(self) -> Path:
        """The file of the labels in the store."""
        return self._context.folder(self) / _FILE

    @property
    def student_settings(self) -> Mapping[str, Any]:
        return self._loss.settings

    def objective(self, device: torch.device, normalisation: Normalisation) -> Objective:
        return static_label_objective(self.logits(), self._loss, device)

    def _as_they_came(self) -> Tensor:
        soft_labels = self._images.soft_labels
        if soft_labels is None:
            raise UsageError(
                f"{self._images.path} came without soft labels. Type labeling.source=teachers, or labeling=hard"
            )
        require_soft_labels(soft_labels, self._images.num_images, self._context.data.num_classes, self._images.path)
        return soft_labels

    def _bytes_stored(self) -> int:
        """Bytes of the tensor in the store, from the file's header."""
        with safe_open(self._context.store.folder(self) / _FILE, framework="pt") as opened:
            stored = opened.get_slice("logits")
            rows, classes = stored.get_shape()
            return int(rows * classes * _BYTES[stored.get_dtype()])
